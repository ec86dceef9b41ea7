"""Backups of all that is kept of pipelines, at another place, and how they are restored."""
