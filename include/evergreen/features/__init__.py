"""Features: from the rows of a partition and its look-back to what a model sees."""
