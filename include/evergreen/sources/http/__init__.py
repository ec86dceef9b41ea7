"""Paged HTTP APIs as a source."""
