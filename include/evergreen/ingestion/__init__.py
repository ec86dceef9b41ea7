"""From sources to published partitions: extract, join, conform, validate, publish."""
