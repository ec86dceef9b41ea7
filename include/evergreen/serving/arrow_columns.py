"""Columns of Arrow in the type that they are published in, by the rules that Parquet files are read by.

What such a file could not hold, text for a number for example, is read by the rules of JSON: so the same
value is the same row, however it is sent.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from evergreen.calendar import Zone
from evergreen.rows.columns import held, plain
from evergreen.rows.local import TIME
from evergreen.rows.texts import is_list, is_text
from evergreen.serving.column_values import Misfits, column_values


def arrow_column(
    values: pa.Array, kind: pa.DataType, written: str | None, zone: Zone
) -> tuple[pa.Array, Misfits]:
    """As `column_values`, of a valid array (n,); a time without a time zone has no offset."""
    values = plain(values)
    if _is_like(values.type, kind):
        try:
            return held(values, kind, zone), {}
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass  # a value does not fit: found below
    return column_values(_as_in_json(values), kind, written, zone)


def _is_like(offered: pa.DataType, kind: pa.DataType) -> bool:
    """Whether values of the one type are of the other, or lose something by which they are found."""
    types = pa.types
    if types.is_timestamp(offered):
        return bool(kind == TIME and offered.tz is not None)
    if types.is_integer(offered):
        return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))
    return bool(
        (types.is_floating(offered) and types.is_floating(kind) and offered.bit_width <= kind.bit_width)
        or (types.is_decimal(offered) and types.is_decimal(kind))
        or (types.is_date(offered) and types.is_date(kind))
        or (types.is_boolean(offered) and types.is_boolean(kind))
        or (is_text(offered) and is_text(kind))
        or types.is_null(offered)
    )


def _as_in_json(values: pa.Array) -> list[Any]:
    """The values (n,) as JSON has them, times as ISO texts."""
    if is_list(values.type):
        return [None if one is None else _as_in_json(one) for one in (one.values for one in values)]
    return list((values.cast(pa.string()) if pa.types.is_temporal(values.type) else values).to_pylist())
