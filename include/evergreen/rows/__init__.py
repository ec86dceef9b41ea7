"""Rows between source and lake: batches, blocks, keys, digests, files, and their conversion to pandas."""
