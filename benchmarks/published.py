"""Days of made-up numbers, published as ingestion publishes them, without a source."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import numpy as np
import pyarrow as pa

from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.rows.partition_file import PartitionWriter

_TIMES = pa.timestamp("us", "UTC")


def publish_day(pipeline: Pipeline, day: np.datetime64, step: int, columns: Mapping[str, Any]) -> None:
    """A day's rows, one every `step` microseconds in the column `at`; the `columns` are all as long."""
    rows = len(next(iter(columns.values())))
    at = day.astype("datetime64[us]").astype("int64") + np.arange(rows) * step
    table = pa.table({"at": pa.array(at).cast(_TIMES), **columns})
    writer = PartitionWriter(table.schema)
    for batch in table.to_batches():
        writer.write(batch)
    with closing(writer.finish()) as file:
        pipeline.lake.commit(Table.PARTITIONS, {str(day): file}, table.schema)
