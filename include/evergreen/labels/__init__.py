"""Delayed labels: read when they are due, joined to their rows, and used only from then on."""
