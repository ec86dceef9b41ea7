"""Operators, assets and code shared by the DAG files. The logic is in `evergreen`."""
