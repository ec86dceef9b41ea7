"""Conversion of columns to Arrow: a row that cannot be converted is rejected, and the others are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from evergreen.databases.database import Reject

_FAILURES = (pa.ArrowException, ValueError, TypeError, ArithmeticError)


def converted(
    columns: Sequence[Any],
    schema: pa.Schema,
    convert: Callable[[Any, pa.DataType], pa.Array],
    first: int,
    reject: Reject,
) -> Iterator[pa.RecordBatch]:
    """The rows in the schema's types. `columns` hold values that `convert` makes an array of a type of.

    `first` is the number of their first row in the result.
    """
    try:
        arrays = [convert(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    except _FAILURES:
        rows = len(columns[0])
        if rows > 1:
            half = rows // 2
            yield from converted([each[:half] for each in columns], schema, convert, first, reject)
            yield from converted([each[half:] for each in columns], schema, convert, first + half, reject)
        else:
            reject(first, _shown(columns, schema), _why(columns, schema, convert))


def _shown(columns: Sequence[Any], schema: pa.Schema) -> str:
    values = {name: _plain(values[0]) for name, values in zip(schema.names, columns, strict=True)}
    return json.dumps(values, ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    value = value.as_py() if isinstance(value, pa.Scalar) else value
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _why(columns: Sequence[Any], schema: pa.Schema, convert: Callable[[Any, pa.DataType], pa.Array]) -> str:
    for name, values, kind in zip(schema.names, columns, schema.types, strict=True):
        try:
            convert(values, kind)
        except _FAILURES as error:
            return f"column '{name}' cannot be read as {kind}: {' '.join(str(error).split())[:200]}"
    return "the row cannot be read"
