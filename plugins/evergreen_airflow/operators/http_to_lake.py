"""HTTP API to lake: stage the partition's records of a paged HTTP API."""

from __future__ import annotations

from evergreen_airflow.operators.source_to_lake import SourceToLakeOperator


class HttpToLakeOperator(SourceToLakeOperator):
    """Stage the partition's records of a paged HTTP API, as typed columns."""
