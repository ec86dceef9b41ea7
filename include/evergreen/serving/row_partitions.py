"""The partitions that the rows of a request are of."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from evergreen.calendar import PartitionError
from evergreen.spec import Spec


def partitions_of(spec: Spec, rows: pa.Table) -> list[str]:
    """The partition of each row, empty where its time is missing or beyond all partitions."""
    if spec.time_column is None:
        return [spec.first_partition] * len(rows)
    known: dict[Any, str] = {None: ""}
    times = rows.column(spec.time_column).to_pylist()
    for time in times:
        if time not in known:
            try:
                known[time] = spec.calendar.key_of(time)
            except (PartitionError, ValueError, OverflowError):
                known[time] = ""
    return [known[time] for time in times]
