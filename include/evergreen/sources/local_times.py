"""Conversion of a source's local times: rows with a skipped time are rejected, days become times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from evergreen.calendar import Zone
from evergreen.rows.batches import Rejected, Rows
from evergreen.rows.columns import LakeTypes
from evergreen.rows.local import TIME, day_starts
from evergreen.sources.text.lines import Rejections


def without_skipped(
    batch: pa.RecordBatch, lake: LakeTypes, rejections: Rejections, place: str, first: int
) -> pa.RecordBatch:
    """The rows of a typed batch that the lake's types can hold; the others are added to `rejections`.

    The others have a local time that the clocks of the zone skip. `place` is the position of the rows,
    `first` the number of the first one.
    """
    none = lake.skipped(batch)
    if not none:
        return batch
    rejections.add(
        Rejected(row_text(batch, at), f"{place} {first + at}", reason) for at, reason in none.items()
    )
    return batch.filter(pa.array([at not in none for at in range(batch.num_rows)], pa.bool_()))


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


def row_text(batch: pa.RecordBatch, at: int) -> str:
    """The row as a JSON object; bytes that are not UTF-8 stand as `\\xff`."""
    values = {
        name: _value(column[at]) for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    return json.dumps(values, ensure_ascii=False, default=str)


def _value(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return bytes(value.as_buffer()).decode("utf-8", "backslashreplace")
    except (OverflowError, ValueError):
        # A time outside Python's years, as the count that it is.
        return value.value
