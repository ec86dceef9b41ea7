"""Serving: a champion's predictions on request, equal to those that a night publishes."""
