"""Whether what servers answered agrees with what was published and what a night predicts of it."""
