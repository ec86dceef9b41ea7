"""Evaluation: metrics of challenger, baseline and champion on the same rows, and the gate."""
