"""The shadow of a champion: what it was asked beside it, and whether it may take its place."""
