"""Alerts: which conditions hold, who is told, once, and that they are over."""
