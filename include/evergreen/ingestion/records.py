"""Records of a JSON answer to Arrow, with types that do not depend on the values of one day."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from evergreen.errors import SourceError
from evergreen.ingestion.columns import TIME

_EXACT = 2**53  # above it not every whole number has a float64 of its own


def records_to_table(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The records as a table: one column a field, in order of first appearance; an absent field is null.

    Numbers are float64, booleans stay; text is text, unless every value is an ISO 8601 time with an offset:
    then `timestamp[us, UTC]`. Objects and lists are kept as JSON text. A field without any value has the
    type null. Raises `SourceError` for a field that mixes kinds, or a whole number beyond 2**53.
    """
    names = dict.fromkeys(name for record in records for name in record)
    return pa.table({name: _column(name, [record.get(name) for record in records]) for name in names})


def _column(name: str, values: list[Any]) -> pa.Array:
    values = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
    kinds = {_kind(value) for value in values if value is not None}
    if not kinds:
        return pa.nulls(len(values))
    if len(kinds) > 1:
        raise SourceError(
            f"field '{name}' holds {' and '.join(sorted(kinds))} in one answer: the API must keep to one kind"
        )
    match kinds.pop():
        case "truth values":
            return pa.array(values, pa.bool_())
        case "numbers":
            return _numbers(name, values)
        case "objects":
            return pa.array(
                [None if v is None else json.dumps(v, sort_keys=True) for v in values], pa.string()
            )
        case _:
            times = _times(values)
            return pa.array(values, pa.string()) if times is None else pa.array(times, TIME)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "truth values"
    if isinstance(value, int | float):
        return "numbers"
    return "text" if isinstance(value, str) else "objects"


def _numbers(name: str, values: list[Any]) -> pa.Array:
    if any(isinstance(value, int) and abs(value) > _EXACT for value in values):
        raise SourceError(f"field '{name}' holds a whole number beyond 2**53: the API must send it as text")
    return pa.array([None if value is None else float(value) for value in values], pa.float64())


def _times(values: list[str | None]) -> list[datetime | None] | None:
    try:
        times = [None if value is None else datetime.fromisoformat(value) for value in values]
    except ValueError:
        return None
    return None if any(time is not None and time.tzinfo is None for time in times) else times
