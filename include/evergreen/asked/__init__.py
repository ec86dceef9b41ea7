"""What may be asked of a version online: rows, groups of rows or whole partitions, as its features need."""
