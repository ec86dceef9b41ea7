"""The training set as of a partition, how it is split, and the digests of what it is made of."""
