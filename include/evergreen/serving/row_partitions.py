"""Which partitions the rows of a request are of."""

from __future__ import annotations

from typing import Any

import numpy as np
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


def by_partition(spec: Spec, rows: pa.Table, told: pa.Table) -> dict[str, pa.Table]:
    """What is told of rows (n), a row each in the same order, by the partition of the rows."""
    of = np.array(partitions_of(spec, rows), object)
    return {key: told.filter(pa.array(of == key)) for key in sorted(set(of))}
