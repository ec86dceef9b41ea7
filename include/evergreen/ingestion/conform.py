"""A partition's rows in the columns and types the lake has already published."""

from __future__ import annotations

import pyarrow as pa

from evergreen.errors import NotFoundError, RefusedError
from evergreen.lake import PARTITION, Lake, Table


def published_schema(lake: Lake) -> pa.Schema | None:
    """Columns and types of the published partitions; None before the first publication."""
    try:
        # No key sorts after this one: the schema comes without reading a row.
        rows = lake.read(Table.PARTITIONS, first="\U0010ffff")
    except NotFoundError:
        return None
    schema = rows.schema
    return schema.remove(schema.get_field_index(PARTITION))


def conform(rows: pa.Table, published: pa.Schema | None) -> pa.Table:
    """The rows with the published columns, in that order and of those types, wherever nothing is lost.

    A column without any value takes the published type, whole numbers fit float64. Raises `RefusedError`
    naming every column that is missing, new, or of a type that does not fit; before a first publication a
    column without any value, whose type nobody can know.
    """
    if published is None:
        return _first(rows)
    offered = rows.column_names
    problems = [f"column '{name}' is missing" for name in published.names if name not in offered]
    problems += [f"column '{name}' is new" for name in offered if name not in published.names]
    columns: dict[str, pa.ChunkedArray] = {}
    for field in published:
        if field.name in offered:
            column = rows.column(field.name)
            try:
                columns[field.name] = _fitted(column, field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                problems.append(f"column '{field.name}' was {field.type} and is {column.type}")
    if problems:
        raise RefusedError(
            f"{'; '.join(problems)}: mend the source, or give the pipeline a new name for a new shape"
        )
    return pa.table(columns)


def _fitted(column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    if column.type == target:
        return column
    numbers = (pa.types.is_integer, pa.types.is_floating)
    both_numbers = all(any(test(kind) for test in numbers) for kind in (column.type, target))
    if not both_numbers and not pa.types.is_null(column.type):
        raise pa.ArrowInvalid("another kind")
    return column.cast(target)


def _first(rows: pa.Table) -> pa.Table:
    unknown = [field.name for field in rows.schema if pa.types.is_null(field.type)]
    if unknown and rows.num_rows:
        raise RefusedError(
            f"column '{unknown[0]}' has no value in any row, so its type is not known: ingest a partition in "
            "which it has values first"
        )
    return rows
