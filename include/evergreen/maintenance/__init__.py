"""Maintenance of a pipeline: what is stored and nothing reads any more, and its deletion."""
