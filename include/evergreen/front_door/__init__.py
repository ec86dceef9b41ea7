"""The Python interface for people: opened pipelines, their models, and tables of what happened."""
