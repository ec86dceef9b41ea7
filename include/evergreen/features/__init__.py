"""Features: computed from the rows of a partition and its look-back, the input of a model."""
