"""The state of pipelines: what is in force, how it does, what was decided, and what comes next."""
