"""Requests in JSON read straight into the types of their columns: rows that are plainly right, or nothing.

Of anything that could be wrong, or could be read in two ways, nothing is said here: `body` and `row_types`
read it value by value, and say what does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from evergreen.serving.column_values import column_values
from evergreen.serving.row_types import RowTypes

_WHOLE = 2.0**53
"""A number beyond it may have been a whole one that lost digits as a float."""
_QUOTE = ord('"')
_PYTHON: Sequence[tuple[Callable[[pa.DataType], bool], str, type]] = (
    (pa.types.is_float64, "float", float),
    (pa.types.is_integer, "int", int),
    (pa.types.is_boolean, "boolean", bool),
    (pa.types.is_string, "text", str),
    (pa.types.is_timestamp, "time", str),
    (pa.types.is_date, "date", str),
)

Columns = dict[str, pa.Array]
"""The columns of rows by name, in the order of their schema."""


@dataclass(frozen=True)
class TypedRows:
    """Reads the rows of a pipeline's requests, whose columns have the given types.

    `values_of` takes a column's values from rows that were read.
    """

    types: RowTypes
    decoder: msgspec.json.Decoder[Any] = field(repr=False)
    values_of: Sequence[Callable[[Any], Any]] = field(repr=False)

    @classmethod
    def of(cls, types: RowTypes) -> TypedRows | None:
        """The reader of these types; None where a column has one that cannot be read at once."""
        columns = [_python(column, types.written.get(column.name)) for column in types.schema]
        if any(python is None for python in columns):
            return None
        names = [f"column_{number}" for number in range(len(columns))]
        fields = [
            (name, python | None, msgspec.field(name=column.name))  # type: ignore[operator]
            for name, python, column in zip(names, columns, types.schema, strict=True)
        ]
        row: Any = msgspec.defstruct("Row", fields, forbid_unknown_fields=True, gc=False)
        whole = ("whole", bool | msgspec.UnsetType, msgspec.UNSET)
        body = msgspec.defstruct("Body", [("rows", list[row]), whole], forbid_unknown_fields=True, gc=False)
        return cls(types, msgspec.json.Decoder(body), [*map(attrgetter, names)])

    def read(self, text: bytes, most_rows: int) -> Columns | None:
        """The columns of a request; None for no rows, more than `most_rows`, or where a value may not fit."""
        try:
            body = self.decoder.decode(text)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        if not 0 < len(body.rows) <= most_rows or b"\\" in text:
            return None
        columns: Columns = {}
        texts = 0
        for column, value_of in zip(self.types.schema, self.values_of, strict=True):
            values = [*map(value_of, body.rows)]
            if (array := self._array(values, column)) is None:
                return None
            columns[column.name] = array
            texts += len(array) - array.null_count if _is_text(column.type) else 0
        if _may_be_rounded(columns.values()):
            return None
        keys = len(columns) * len(body.rows) + 1 + (body.whole is not msgspec.UNSET)
        quotes = np.count_nonzero(np.frombuffer(text, np.uint8) == _QUOTE)
        # Fewer were read than there are where a key came twice.
        return columns if quotes == 2 * (keys + texts) else None

    def _array(self, values: list[Any], column: pa.Field) -> pa.Array | None:
        kind = column.type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            written = self.types.written.get(column.name)
            array, misfits = column_values(values, kind, written, self.types.zone)
            return None if misfits else array
        try:
            return pa.array(values, kind)
        except (pa.ArrowInvalid, OverflowError):  # beyond the range of a narrower type
            return None


def _may_be_rounded(arrays: Iterable[pa.Array]) -> bool:
    floats = [array.to_numpy(zero_copy_only=False) for array in arrays if pa.types.is_float64(array.type)]
    return bool(floats) and bool((np.abs(np.concatenate(floats)) >= _WHOLE).any())


def _python(column: pa.Field, written: str | None) -> type | None:
    """The type of Python that values of a column are read as; None if they cannot be read at once."""
    return next(
        (python for holds, name, python in _PYTHON if holds(column.type) and written in (None, name)), None
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind))
