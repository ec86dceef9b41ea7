"""Postgres to lake: stage the partition's rows of a PostgreSQL table or query."""

from __future__ import annotations

from evergreen_airflow.operators.source_to_lake import SourceToLakeOperator


class PostgresToLakeOperator(SourceToLakeOperator):
    """Stage the partition's rows of a PostgreSQL table or query, as typed columns."""
