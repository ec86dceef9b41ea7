"""Files and object storage as a source: CSV, JSON lines and Parquet."""
