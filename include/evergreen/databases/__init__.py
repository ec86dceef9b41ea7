"""Databases beside PostgreSQL: one entry each in `evergreen.databases.registry`, by the connection's type."""
