"""What a source holds, told from its first rows, and the description that reads it."""
