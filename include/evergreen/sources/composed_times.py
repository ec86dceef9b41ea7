"""Event times that stand in several columns (`ComposedTime`), to one column of moments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import Zone
from evergreen.errors import SourceError
from evergreen.rows.batches import Rejected, Rows
from evergreen.rows.local import TIME, local_days
from evergreen.rows.texts import is_text
from evergreen.shown import shown
from evergreen.sources.event_time import ComposedTime
from evergreen.sources.nearest import nearest
from evergreen.sources.text.lines import Rejections
from evergreen.sources.typed import row_text

# The last hour is 24, as in ISO 8601: the end of the day, with no minutes behind it.
_LAST = {"year": 9999, "month": 12, "day": 31, "hour": 24, "minute": 59, "second": 59}
_LENGTHS = {"hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000}
_DAY = 86_400_000_000
_UNKNOWN = np.iinfo(np.int64).min
_DIGITS = r"^\s*[0-9]{1,4}\s*$"

_Whole = npt.NDArray[np.int64]


def with_composed_time(rows: Rows, column: ComposedTime, zone: Zone) -> Rows:
    """The rows with one more column, the moments that its parts say as local times of the zone.

    A part is a whole number, also as a float64 or digits; the hours are 0 to 24. A row whose parts say no
    time, or one that the zone's clocks skip, is rejected; of a time that they repeat, the first is meant.
    Raises `SourceError` for a part that is not among the columns, or a column of the new one's name.
    """
    if not rows.schema.names:
        return rows
    there = rows.schema.names
    for part, name in column.parts.columns.items():
        if name not in there:
            raise SourceError(
                f"there is no column '{name}' ({nearest(name, there)}), the {part} of the time: fix the "
                "source, or its time_column"
            )
    if str(column) in there:
        raise SourceError(
            f"there is a column '{column}' already: give the composed one another 'name' in time_column"
        )
    schema = rows.schema.append(pa.field(str(column), TIME))
    return Rows(schema, _composed(rows, schema, column, zone), rows.rejected)


def moment_of(values: Mapping[str, object], column: ComposedTime, zone: Zone) -> datetime | None:
    """The moment that a record's values by column say, in UTC; None if they say none."""
    arrays: dict[str, pa.Array] = {}
    for name in column.parts.columns.values():
        value = values.get(name)
        if name == column.parts.date and isinstance(value, str):
            try:
                value = date.fromisoformat(value.strip()[:10])
            except ValueError:
                return None
        elif not isinstance(value, int | float | str):
            return None
        arrays[name] = pa.array([value])
    times, _ = _moments(pa.RecordBatch.from_pydict(arrays), column, zone)
    found: datetime | None = times[0].as_py()
    return found


def _composed(rows: Rows, schema: pa.Schema, column: ComposedTime, zone: Zone) -> Iterator[pa.RecordBatch]:
    rejections, number = Rejections(rows.rejected), 0
    try:
        for batch in rows:
            times, none = _moments(batch, column, zone)
            timed = pa.RecordBatch.from_arrays([*batch.columns, times], schema=schema)
            if none:
                rejections.add(
                    Rejected(row_text(batch, row), f"row {number + row + 1}", why)
                    for row, why in none.items()
                )
                timed = timed.filter(times.is_valid())
            number += batch.num_rows
            yield timed
    finally:
        rows.close()


def _moments(batch: pa.RecordBatch, column: ComposedTime, zone: Zone) -> tuple[pa.Array, dict[int, str]]:
    """The moments, null where there is none, and by index why."""
    parts = {part: _numbers(batch.column(name), zone) for part, name in column.parts.columns.items()}
    good = np.ones(batch.num_rows, bool)
    for part, numbers in parts.items():
        least = 1 if part in ("year", "month", "day") else 0
        if part == "date":
            good &= numbers != _UNKNOWN
        else:
            good &= (numbers >= least) & (numbers <= _LAST[part])
    days = {part: np.where(good, parts[part], 1) for part in ("year", "month", "day") if part in parts}
    if "date" in parts:
        local = np.where(good, parts["date"], 0) * _DAY
    else:
        months = (days["year"] - 1970) * 12 + days.get("month", np.int64(1)) - 1
        first = months.astype("datetime64[M]").astype("datetime64[D]")
        day = first + (days.get("day", np.int64(1)) - 1).astype("timedelta64[D]")
        good &= day.astype("datetime64[M]") == first.astype("datetime64[M]")
        local = day.astype(np.int64) * _DAY
    behind = np.zeros(batch.num_rows, np.int64)
    for part, length in _LENGTHS.items():
        if part in parts:
            behind += np.where(good, parts[part], 0) * length
    good &= behind <= _DAY
    local = np.where(good, local + behind, 0)
    moments, exist = zone.moments(local)
    times = pc.if_else(pa.array(good & exist), pa.array(moments).cast(TIME), pa.scalar(None, TIME))
    why = {int(row): _why(batch, int(row), column, parts) for row in np.flatnonzero(~good)}
    for row in np.flatnonzero(good & ~exist).tolist():
        why[row] = zone.why_none(datetime(1970, 1, 1) + timedelta(microseconds=int(local[row])))  # noqa: DTZ001
    return times, dict(sorted(why.items()))


def _why(batch: pa.RecordBatch, row: int, column: ComposedTime, parts: Mapping[str, _Whole]) -> str:
    said = []
    for part, name in column.parts.columns.items():
        value = batch.column(name)[row].as_py()
        if value is None:
            return f"column '{name}' has no value, so there is no time"
        is_number = part != "date" and parts[part][row] != _UNKNOWN
        said.append(f"{part} {int(parts[part][row]) if is_number else shown(str(value))}")
    return f"{', '.join(said)}: no such time"


def _numbers(values: pa.Array, zone: Zone) -> _Whole:
    """Whole numbers, or the days since 1970 of days; `_UNKNOWN` where a value is none."""
    types, kind = pa.types, values.type
    if types.is_date(kind):
        values = values.cast(pa.date32()).cast(pa.int32())
    elif types.is_timestamp(kind):
        values = local_days(values, zone).cast(pa.int32())
    elif is_text(kind):
        texts = values.cast(pa.string())
        digits = pc.if_else(pc.match_substring_regex(texts, _DIGITS), texts, pa.scalar(None, pa.string()))
        values = pc.utf8_trim_whitespace(digits)
    elif types.is_floating(kind) or types.is_decimal(kind):
        numbers = values.cast(pa.float64())
        whole = pc.and_(pc.equal(numbers, pc.trunc(numbers)), pc.less(pc.abs(numbers), 1e9))
        values = pc.if_else(whole, numbers, pa.scalar(None, pa.float64()))
    elif not types.is_integer(kind):
        return np.full(len(values), _UNKNOWN)
    found: _Whole = values.cast(pa.int64()).fill_null(_UNKNOWN).to_numpy(zero_copy_only=False)
    return found
