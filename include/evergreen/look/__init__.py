"""What a file or a table holds, and the description of a source that reads it: `evergreen look`."""
