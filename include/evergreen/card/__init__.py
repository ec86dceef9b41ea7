"""A version's card, for the person who decides on it."""
