"""File to lake: stage the partition's file."""

from __future__ import annotations

from evergreen_airflow.operators.source_to_lake import SourceToLakeOperator


class FileToLakeOperator(SourceToLakeOperator):
    """Stage the partition's file, as typed columns."""
