"""Columns of rows that were read: nulls, distinct values, and what they may be: key, time or target."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, takewhile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evergreen.rows.texts import is_list, is_text
from evergreen.shown import shown
from evergreen.sources.event_time import IN_ORDER
from evergreen.sources.look.found import Column, Target

_NAMES = {pa.string(): "text", pa.float64(): "float", pa.bool_(): "boolean", pa.date32(): "date"}
_MOST_OF_PAIR = 12  # columns of which pairs are tried
_FEW_CLASSES = 20
_DAY_PARTS = 3  # year, month, day
_TARGETS = ("target", "label", "y", "class", "outcome", "cnt", "count")
_MOST_TARGETS = 5
_MOST_KEYS = 5


def type_name(kind: pa.DataType) -> str:
    """The name of a lake's type, as a description writes it where it can."""
    if kind in _NAMES:
        return _NAMES[kind]
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "time"
    if pa.types.is_integer(kind):
        return "int" if kind == pa.int64() else str(kind)
    if is_list(kind):
        return f"list of {type_name(kind.value_type)}"
    return "nothing but nulls" if pa.types.is_null(kind) else str(kind)


def profile(rows: pa.Table) -> list[Column]:
    """What each column holds."""
    return [_column(name, rows.column(name)) for name in rows.schema.names]


def _column(name: str, values: pa.ChunkedArray) -> Column:
    first, last = _range(values)
    return Column(name, type_name(values.type), values.null_count, _distinct(values), first, last)


def _distinct(values: pa.ChunkedArray) -> int:
    """How many different values there are, nulls aside."""
    if pa.types.is_null(values.type):
        return 0
    if is_list(values.type):
        return len({str(value) for value in values.to_pylist() if value is not None})
    return int(pc.count_distinct(values, mode="only_valid").as_py())


def _range(values: pa.ChunkedArray) -> tuple[str | None, str | None]:
    """The least and the greatest value of numbers and times, the first and the last one of text."""
    there = values.drop_null()
    if not len(there):
        return None, None
    if is_text(values.type) or is_list(values.type) or pa.types.is_boolean(values.type):
        return _said(there[0]), _said(there[-1])
    span = pc.min_max(there)
    return _said(span["min"]), _said(span["max"])


def _said(value: pa.Scalar) -> str:
    if isinstance(value, pa.TimestampScalar):
        moment = value.as_py()
        return (
            moment.strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00") if moment.year >= 1000 else str(moment)
        )
    if pa.types.is_floating(value.type):
        return f"{value.as_py():.10g}"
    if pa.types.is_boolean(value.type):
        return str(value.as_py()).lower()
    return shown(str(value.as_py()))


def time_parts(columns: Sequence[Column]) -> list[str]:
    """The columns that together say a time, from the year on; none if there is no year, month and day.

    They hold numbers, and their names are those of the parts, in either case.
    """
    numbers = {one.name.lower(): one.name for one in columns if one.type in ("int", "float")}
    found = [numbers[part] for part in takewhile(numbers.__contains__, IN_ORDER)]
    return found if len(found) >= _DAY_PARTS else []


def keys(rows: pa.Table, columns: Sequence[Column]) -> list[tuple[str, ...]]:
    """The columns that are present and unique in all rows; else the pairs of columns that are.

    Fractions are measured, so a column of them is no key, however unique, nor is one of text that is nearly a
    column of numbers. A single row tells nothing.
    """
    if rows.num_rows < 2:
        return []
    fit = [
        one.name
        for one in columns
        if not one.nulls and not (one.forced and one.forced.others) and may_be_key(rows.column(one.name))
    ]
    distinct = {one.name: one.distinct for one in columns}
    single: list[tuple[str, ...]] = [(name,) for name in fit if distinct[name] == rows.num_rows]
    if single:
        return single[:_MOST_KEYS]
    several = [name for name in fit if distinct[name] > 1]
    several.sort(key=lambda name: -distinct[name])
    pairs = (
        pair
        for pair in combinations(several[:_MOST_OF_PAIR], 2)
        if distinct[pair[0]] * distinct[pair[1]] >= rows.num_rows
    )
    found = []
    for pair in pairs:
        if rows.select(pair).group_by(list(pair)).aggregate([]).num_rows == rows.num_rows:
            found.append(tuple(name for name in rows.schema.names if name in pair))
            if len(found) == _MOST_KEYS:
                break
    return found


def may_be_key(values: pa.ChunkedArray) -> bool:
    """Whether values of this kind may name a row: lists and fractions do not."""
    if is_list(values.type) or pa.types.is_null(values.type):
        return False
    if pa.types.is_floating(values.type):
        return bool(pc.all(pc.equal(values, pc.floor(values))).as_py())
    return True


def times(columns: Sequence[Column]) -> list[str]:
    """The columns of dates or times without nulls, those of times first."""
    there = [
        one for one in columns if one.type.startswith(("time", "date")) and not one.nulls and one.distinct
    ]
    return [one.name for one in sorted(there, key=lambda one: not one.type.startswith("time"))]


def targets(rows: pa.Table, columns: Sequence[Column]) -> list[Target]:
    """The columns that a model may predict: those named so first, then the last ones.

    A number of few different values is a class, one of many a quantity; text of many is neither, and numbers
    that count the rows are none.
    """
    found = [
        Target(one.name, task)
        for one in reversed(columns)
        if (task := _task(one, rows.num_rows)) and not counts_rows(rows.column(one.name))
    ]
    found.sort(key=lambda one: one.column.lower() not in _TARGETS)
    return found[:_MOST_TARGETS]


def counts_rows(values: pa.ChunkedArray) -> bool:
    """Whether each value is the one before and 1."""
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)) or len(values) < 2:
        return False
    return bool((np.diff(values.to_numpy()) == 1).all())


def _task(column: Column, rows: int) -> str | None:
    if column.distinct < 2 or column.type.startswith(("date", "time", "list", "nothing")):
        return None
    is_few = column.distinct <= _FEW_CLASSES and 2 * column.distinct <= rows
    if column.type in ("text", "boolean"):
        return "classification" if is_few else None
    return "classification" if is_few and column.distinct <= 10 else "regression"
