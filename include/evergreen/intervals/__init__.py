"""Intervals around numbers and sets of classes, and how often the truth lies within them."""
