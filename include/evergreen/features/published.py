"""A pipeline's published rows as its features need them: of each only the columns that are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from evergreen.features.columns import columns_read
from evergreen.lake import PARTITION, Table

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline


def published_rows(
    pipeline: Pipeline, first: str | None, last: str | None, version: int | None = None
) -> pa.Table:
    """The rows of the partitions from `first` to `last`, both included; as `Lake.read`, which raises."""
    with pipeline.lake.steady():
        columns = names_read(pipeline, version)
        return pipeline.lake.read(Table.PARTITIONS, first, last, version=version, columns=columns)


def published_batches(pipeline: Pipeline, first: str, last: str, version: int) -> Iterator[pa.RecordBatch]:
    """The same rows in no order, a few at a time; as `Lake.batches`, which raises."""
    columns = names_read(pipeline, version)
    yield from pipeline.lake.batches(Table.PARTITIONS, first, last, version, columns)


def names_read(pipeline: Pipeline, version: int | None = None) -> list[str] | None:
    """The columns that are read of the table; None for all.

    One that the table does not have yet, or does not have at this version, is not asked for.
    """
    if not pipeline.spec.features.columns:
        return None
    schema = pipeline.lake.schema(Table.PARTITIONS, version)
    return None if schema is None else columns_read(pipeline.spec, [*schema.names, PARTITION])
