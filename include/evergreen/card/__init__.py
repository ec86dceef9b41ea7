"""The model card of a version, for the person who decides on it."""
