"""Predictions into a table of a database: the partition is replaced as a whole, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

from evergreen.connections import Connection
from evergreen.databases.registry import writer
from evergreen.databases.writer import Writer
from evergreen.errors import SourceError
from evergreen.lake import PARTITION
from evergreen.scoring.published import is_published


def write_predictions(
    connection: Connection, table: str, keys: Sequence[str], predictions: pa.Table, partition: str
) -> None:
    """Make `predictions` the whole content of the partition in the table, which is created if it is absent.

    The columns are those of `predictions` and `partition`; its primary key is `partition` and `keys`. A list
    is JSON where the database has no such lists: `jsonb` in PostgreSQL, else text. Columns that only some
    versions have, as `evergreen.scoring.published` says, are added to the table once one has them.
    Run twice, or by two writers at once, it leaves one copy. Raises `UnavailableError` where the database
    cannot be reached, `SourceError` for a table of another shape and a database that has no transactions.
    """
    rows = predictions.append_column(PARTITION, pa.array([partition] * len(predictions), pa.string()))
    with writer(connection) as opened:
        rows, json_types = _storable(opened, rows)
        columns = {
            field.name: json_types.get(field.name) or _sql_type(opened, field, (PARTITION, *keys))
            for field in rows.schema
        }
        opened.lock(table)
        if there := opened.shape(table):
            new = {name: kind for name, kind in columns.items() if is_published(name) and name not in there}
            if new:
                opened.extend(table, new)
        else:
            opened.create(table, columns, (PARTITION, *keys))
        _check_shape(opened, table, columns)
        opened.delete(table, PARTITION, partition)
        if len(rows):
            opened.append(table, rows)


def _storable(opened: Writer, rows: pa.Table) -> tuple[pa.Table, dict[str, str]]:
    """The rows with JSON in place of lists that the database does not have, and its type for them."""
    types = {}
    for place, field in enumerate(rows.schema):
        has_lists = opened.sql_type(field.type, key=False) is not None
        if is_published(field.name) and pa.types.is_list(field.type) and not has_lists:
            texts = [
                None if value is None else json.dumps(value, default=str)
                for value in rows.column(place).to_pylist()
            ]
            types[field.name], column = opened.json_column(texts)
            rows = rows.set_column(place, field.name, column)
    return rows, types


def _check_shape(opened: Writer, table: str, columns: dict[str, str]) -> None:
    there = opened.shape(table)
    wrong = [
        f"'{name}' must be {kind} and is {there.get(name, 'absent')}"
        for name, kind in columns.items()
        if there.get(name) != kind
    ]
    if wrong:
        raise SourceError(
            f"table '{table}' has another shape: {'; '.join(wrong)}: rename it, or name another in "
            "scoring.table"
        )


def _sql_type(opened: Writer, field: pa.Field, keys: Sequence[str]) -> str:
    found = opened.sql_type(field.type, key=field.name in keys)
    if found is None:
        raise SourceError(
            f"column '{field.name}' of type {field.type} has no place in a table: leave it out of 'key'"
        )
    return found
