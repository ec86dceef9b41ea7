"""Intervals around the predictions of a regression, and how often the truth lies within them."""
