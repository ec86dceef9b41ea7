"""A source in any database as `pipeline.yaml` describes it."""

from __future__ import annotations

from evergreen.sources.sql_description import TableOrSql


class SqlSource(TableOrSql):
    """Rows of a table or of a SQL file of the database that the connection's type names."""
