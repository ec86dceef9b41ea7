"""Predictions into a PostgreSQL table: the partition is replaced as a whole, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.lake import PARTITION
from evergreen.postgres import quoted, transaction


def write_predictions(
    connection: Connection, table: str, keys: Sequence[str], predictions: pa.Table, partition: str
) -> None:
    """Make `predictions` the whole content of the partition in the table, which is created if it is absent.

    The columns are those of `predictions` and `partition`; its primary key is `partition` and `keys`. Run
    twice, or by two writers at once, it leaves one copy. Raises `UnavailableError` where the server cannot be
    reached, `SourceError` for a table of another shape.
    """
    rows = predictions.append_column(PARTITION, pa.array([partition] * len(predictions), pa.string()))
    name = quoted(table)
    with transaction(connection) as cursor:
        # Writers of a table take turns even before it exists: IF NOT EXISTS alone is no lock.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext($1))", [f"evergreen.{table}"])
        cursor.fetchall()
        cursor.execute(_creation(name, rows.schema, keys))
        _check_shape(cursor, table, rows.schema)
        cursor.execute(f"DELETE FROM {name} WHERE {quoted(PARTITION)} = $1", [partition])  # noqa: S608 - quoted
        if len(rows):
            cursor.adbc_ingest(table, rows, mode="append")


def _creation(name: str, schema: pa.Schema, keys: Sequence[str]) -> str:
    columns = [f"{quoted(field.name)} {_sql_type(field)}" for field in schema]
    primary = ", ".join(quoted(key) for key in (PARTITION, *keys))
    return f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(columns)}, PRIMARY KEY ({primary}))"


def _check_shape(cursor: Any, table: str, schema: pa.Schema) -> None:
    cursor.execute(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        [quoted(table)],
    )
    there = dict(cursor.fetchall())
    wrong = [
        f"'{field.name}' must be {_sql_type(field)} and is {there.get(field.name, 'absent')}"
        for field in schema
        if there.get(field.name) != _sql_type(field)
    ]
    if wrong:
        raise SourceError(
            f"table '{table}' has another shape: {'; '.join(wrong)}: rename it, or name another in "
            "scoring.table"
        )


def _sql_type(field: pa.Field) -> str:
    kind = field.type
    for holds, name in _SQL_TYPES:
        if holds(kind):
            return name
    if pa.types.is_timestamp(kind):
        return "timestamp with time zone" if kind.tz else "timestamp without time zone"
    raise SourceError(f"column '{field.name}' of type {kind} has no place in a table: leave it out of 'key'")


_SQL_TYPES = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_int8, "smallint"),
    (pa.types.is_int16, "smallint"),
    (pa.types.is_int32, "integer"),
    (pa.types.is_int64, "bigint"),
    (pa.types.is_float32, "real"),
    (pa.types.is_float64, "double precision"),
    (pa.types.is_string, "text"),
    (pa.types.is_large_string, "text"),
    (pa.types.is_date32, "date"),
)
