"""Values from formats without types (JSON, CSV): what a column is, told from all of its values."""
