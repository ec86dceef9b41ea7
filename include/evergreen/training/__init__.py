"""Training: the training set as of a partition, tuning, fitting, and the version that comes of it."""
