"""A source's event times: days become times, and rows without one are rejected."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import Zone
from evergreen.databases.database import Bounds
from evergreen.rows.batches import Rejected, Rows
from evergreen.rows.local import TIME, day_starts
from evergreen.sources.text.lines import Rejections
from evergreen.sources.typed import row_text


def with_event_time(rows: Rows, name: str | None, zone: Zone) -> Rows:
    """The rows with the column `name`, if it holds days, as the first moments of these in the zone."""
    if name is None or name not in rows.schema.names:
        return rows
    at = rows.schema.get_field_index(name)
    kind = rows.schema.field(at).type
    if not (pa.types.is_date(kind) or pa.types.is_null(kind)):
        return rows
    schema = rows.schema.set(at, pa.field(name, TIME))
    return Rows(schema, _timed(rows, schema, at, zone), rows.rejected)


def _timed(rows: Rows, schema: pa.Schema, at: int, zone: Zone) -> Iterator[pa.RecordBatch]:
    rejections = Rejections(rows.rejected)
    number = 0
    try:
        for batch in rows:
            times, none = day_starts(batch.column(at), zone)
            timed = pa.RecordBatch.from_arrays(
                [*batch.columns[:at], times, *batch.columns[at + 1 :]], schema=schema
            )
            if none:
                why = f"column '{schema.names[at]}': a day that the clocks in {zone.name} skip"
                rejections.add(Rejected(row_text(batch, row), f"row {number + row + 1}", why) for row in none)
                timed = timed.filter(pa.array([row not in none for row in range(len(timed))], pa.bool_()))
            number += batch.num_rows
            yield timed
    finally:
        rows.close()


def within(batch: pa.RecordBatch, name: str, bounds: Bounds, zone: Zone) -> pa.RecordBatch:
    """The rows in the lake's types whose time, or first moment of a day, lies in the bounds."""
    times = batch.column(name)
    if pa.types.is_date(times.type):
        times = day_starts(times, zone)[0]
    first, last = (pa.scalar(moment, times.type) for moment in (bounds.start, bounds.end))
    inside = pc.and_(pc.greater_equal(times, first), pc.less(times, last))
    return batch if inside.true_count == batch.num_rows else batch.filter(inside)


def only_within(rows: Rows, name: str, bounds: Bounds, zone: Zone) -> Rows:
    """The rows that `within` selects; all of them if there is no column `name`."""
    if name not in rows.schema.names:
        return rows
    return Rows(rows.schema, (within(batch, name, bounds, zone) for batch in rows), rows.rejected)


def with_a_time(rows: Rows, name: str) -> Rows:
    """The rows that have an event time in the column `name`; the others are rejected."""
    return Rows(rows.schema, _with_a_time(rows, name), rows.rejected)


def _with_a_time(rows: Rows, name: str) -> Iterator[pa.RecordBatch]:
    rejections = Rejections(rows.rejected)
    why = f"has no time in '{name}', so it is of no partition"
    number = 0
    try:
        for batch in rows:
            there = batch.column(name).is_valid()
            timed = batch
            if batch.column(name).null_count:
                none = np.flatnonzero(~there.to_numpy(zero_copy_only=False)).tolist()
                rejections.add(Rejected(row_text(batch, row), f"row {number + row + 1}", why) for row in none)
                timed = batch.filter(there)
            number += batch.num_rows
            yield timed
    finally:
        rows.close()
