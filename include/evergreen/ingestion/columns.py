"""The column types that the lake keeps, whatever the source calls them.

A column's type must not depend on the values of one day: backfilling in another order would otherwise make
another table. Numbers from text formats (JSON, CSV) are therefore always float64, even where one day's
happen to be whole, and every time is `timestamp[us, UTC]`.
"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.errors import SourceError

TIME = pa.timestamp("us", tz="UTC")


def normalise(table: pa.Table, whole_numbers: bool = True) -> pa.Table:
    """The table with each column in the lake's type for it; `whole_numbers=False` makes integers float64.

    A time without a zone is taken as UTC. Raises `SourceError` naming a column that comes twice, one called
    `partition` (the lake has its own), and one whose type (a list, bytes, an interval) the lake cannot keep.
    """
    _check_names(table.column_names)
    columns = [_column(name, table.column(name), whole_numbers) for name in table.column_names]
    return pa.table(dict(zip(table.column_names, columns, strict=True))) if columns else table


def whole(table: pa.Table, names: set[str]) -> pa.Table:
    """The table with those of the named float64 columns that hold only whole numbers as int64.

    For keys: a row's number is 7, not 7.0, and is equal to the 7 of another source.
    """
    for index, field in enumerate(table.schema):
        if field.name not in names or not (
            pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        ):
            continue
        try:
            column = table.column(index).cast(pa.int64())
        except pa.ArrowInvalid:
            continue
        table = table.set_column(index, field.name, column)
    return table


def _check_names(names: list[str]) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise SourceError(f"column '{twice[0]}' comes more than once: rename one")
    if "partition" in names:
        raise SourceError("column 'partition' has the name of the lake's own column: rename it")


def _column(name: str, column: pa.ChunkedArray, whole_numbers: bool) -> pa.ChunkedArray:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _column(name, _storage(name, column), whole_numbers)
    if pa.types.is_dictionary(kind):
        return _column(name, column.cast(kind.value_type), whole_numbers)
    target = _target(kind, whole_numbers)
    if target is None:
        raise SourceError(
            f"column '{name}' is of type {kind}, which the lake has no column for: leave it out or turn it "
            "into text, a number or a time"
        )
    try:
        return column if target == kind else column.cast(target)
    except pa.ArrowInvalid as error:
        raise SourceError(f"column '{name}' cannot be read as {target}: {error}: mend the source") from None


def _target(kind: pa.DataType, whole_numbers: bool) -> pa.DataType | None:
    types = pa.types
    if types.is_timestamp(kind):
        return TIME
    if types.is_decimal(kind) or types.is_floating(kind) or types.is_unsigned_integer(kind):
        return pa.float64()
    if types.is_integer(kind):
        return kind if whole_numbers else pa.float64()
    if (
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_time(kind)
    ):
        return pa.string()
    if types.is_boolean(kind) or types.is_date32(kind) or types.is_null(kind):
        return kind
    return None


def _storage(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The plain values of an extension column; PostgreSQL's NUMERIC, which arrives as text, as float64."""
    kind = column.type
    values = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
    if getattr(kind, "type_name", "") != "numeric":
        return values
    return pc.cast(values, pa.float64())
