"""A PostgreSQL source as `pipeline.yaml` describes it."""

from __future__ import annotations

from evergreen.sources.sql_description import TableOrSql


class PostgresSource(TableOrSql):
    """Rows of a PostgreSQL table whose `time_column` lies in the partition, or the rows of a SQL file."""
