"""Scoring: a partition's predictions, by the champion that was in force as of it."""
