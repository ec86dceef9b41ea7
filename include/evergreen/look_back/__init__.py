"""The newest partitions in PostgreSQL, from which a server reads the rows that features look back to."""
