"""The models of a pipeline: versions that never change, their history, and which one is in force."""
