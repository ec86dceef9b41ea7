"""Writing to SQLite, by Python's own driver: it begins a transaction as one that writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.connections import Connection
from evergreen.databases.errors import Meaning, translated
from evergreen.databases.local_file import local_file
from evergreen.databases.writer import Writer

_BATCH_ROWS = 10_000


class SqliteWriter(Writer):
    """A transaction that no other writer can begin beside it."""

    types = MappingProxyType(
        {
            "bool": "BOOLEAN",
            **dict.fromkeys(("int8", "int16", "int32", "int64"), "INTEGER"),
            "float": "REAL",
            "double": "REAL",
            "string": "TEXT",
            "large_string": "TEXT",
            "date32[day]": "DATE",
            "timestamp[us]": "DATETIME",
            "timestamp[us, tz=UTC]": "DATETIME",
        }
    )

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives."""
        return self._connection.execute(statement, values).fetchall()

    def lock(self, table: str) -> None:
        """Nothing more: SQLite has one writer at a time."""

    def shape(self, table: str) -> dict[str, str]:
        """The declared types."""
        return dict(self.run("SELECT name, type FROM pragma_table_info(?)", [table]))

    def append(self, table: str, rows: pa.Table) -> None:
        """Times are written as ISO 8601, those with a zone as UTC and with a Z."""
        marks = ", ".join("?" * rows.num_columns)
        names = ", ".join(self.quoted(name) for name in rows.column_names)
        statement = f"INSERT INTO {self.quoted(table)} ({names}) VALUES ({marks})"  # noqa: S608 - quoted
        for batch in rows.to_batches(_BATCH_ROWS):
            columns = [_written(column).to_pylist() for column in batch.columns]
            self._connection.executemany(statement, zip(*columns, strict=True))


def _written(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_boolean(kind):
        return column.cast(pa.int8())
    if pa.types.is_date(kind):
        return pc.strftime(column, "%Y-%m-%d")
    if pa.types.is_timestamp(kind):
        return pc.strftime(column, "%Y-%m-%dT%H:%M:%S" + ("Z" if kind.tz else ""))
    return column


@contextmanager
def write_sqlite(connection: Connection, timeout: timedelta) -> Iterator[SqliteWriter]:
    """A transaction on the file that the connection's host names, which is created if it is absent."""
    with translated(connection, (sqlite3.Error,), _meaning):
        path = local_file(connection, must_exist=False)
        limit = timeout.total_seconds()
        with closing(sqlite3.connect(path, timeout=limit, isolation_level=None)) as opened:
            opened.execute("BEGIN IMMEDIATE")
            yield SqliteWriter(opened)
            opened.execute("COMMIT")


def _meaning(error: Exception) -> Meaning:
    return Meaning.UNAVAILABLE if "locked" in str(error) else Meaning.WRONG
