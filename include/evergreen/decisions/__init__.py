"""Decisions by a classifier: calibrated probabilities, and from which one on a row is positive."""
