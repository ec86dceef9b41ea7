"""Rows between source and lake: batches, blocks, keys, digests, files, and how pandas sees them."""
