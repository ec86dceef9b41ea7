"""Expectations on a partition's rows: which are valid, which go to quarantine, and when all are refused."""
