"""Drift statistics, and the counts of rows they are made of."""
