"""DuckDB: files that are opened in this process, read-only, by the driver that its package contains."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import adbc_driver_duckdb
import pyarrow as pa
from adbc_driver_manager import dbapi

from evergreen.connections import Connection
from evergreen.databases.adbc import ERRORS, AdbcSession, base_type, meaning, table_names
from evergreen.databases.database import Bounds, TableFound, WritableSession
from evergreen.databases.deadline import Deadline
from evergreen.databases.errors import Meaning, TimedOutError, translated
from evergreen.databases.local_file import local_file

_PLAIN = {
    *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"),
    *("FLOAT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
    "TIMESTAMP WITH TIME ZONE",
}
_NUMBERS = {"DECIMAL", "HUGEINT", "UHUGEINT", "UBIGINT"}
_NESTED = ("STRUCT", "MAP", "UNION")
_LOCAL = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE"}
_LOCKED = "Could not set lock"
_COLUMNS = """
    SELECT column_name, data_type FROM information_schema.columns
    WHERE table_catalog = current_database() AND table_schema = ? AND table_name = ? ORDER BY ordinal_position
"""
_TABLES = """
    SELECT CASE table_schema WHEN 'main' THEN '' ELSE table_schema || '.' END || table_name
    FROM information_schema.tables WHERE table_catalog = current_database() ORDER BY 1
"""
# The lock of a file is the process's, so writers within one take turns here.
_WRITERS: dict[str, threading.Lock] = {}
_WRITERS_LOCK = threading.Lock()


class DuckDbSession(AdbcSession, WritableSession):
    """A session on a DuckDB file."""

    def tables(self) -> list[str]:
        """Tables and views, those outside `main` with their schema."""
        return [row[0] for row in self.fetch(_TABLES)]

    def table(self, name: str) -> TableFound | None:
        """The table of the schema `main`, or `schema.table`."""
        for schema, table in table_names(name, "main"):
            if columns := dict(self.fetch(_COLUMNS, [schema, table])):
                return TableFound(f"{self.quoted(schema)}.{self.quoted(table)}", columns)
        return None

    def described(self, statement: str) -> dict[str, str]:
        """The columns of a query, by DESCRIBE."""
        found = self.fetch(f"DESCRIBE {statement}")
        return {name: kind for name, kind, *_ in found}

    def parameter(self, position: int, *, local: bool) -> str:
        """A question mark with its type, so that it can be described."""
        return f"CAST(? AS {'TIMESTAMP' if local else 'TIMESTAMPTZ'})"

    def null(self, *, local: bool) -> str:
        """A NULL of the parameter's type."""
        return self.parameter(0, local=local).replace("?", "NULL")

    def between(self, name: str, kind: str, bounds: Bounds) -> tuple[str, tuple[Any, ...]] | None:
        """A column without a zone is compared with local times."""
        kind = base_type(kind)
        if kind not in _LOCAL and kind != "TIMESTAMP WITH TIME ZONE":
            return None
        local = kind in _LOCAL
        mark, column = self.parameter(0, local=local), self.quoted(name)
        values = (bounds.local_start, bounds.local_end) if local else (bounds.start, bounds.end)
        return f"{column} >= {mark} AND {column} < {mark}", values

    def selected(self, name: str, kind: str, declared: str | None) -> str:
        """Cast to a number or a text where Arrow, or the driver, has no type without loss."""
        column = self.quoted(name)
        if declared == "text":
            return _as_text(column, kind)
        if kind.endswith("]"):
            element = kind[: kind.rindex("[")]
            return _as_text(column, kind) if element.endswith("]") else _list(column, element)
        if base_type(kind) in _NUMBERS and declared and (declared == "int" or declared.startswith("decimal")):
            return f"CAST({column} AS VARCHAR)"
        return _cast(column, kind)

    def lock(self, table: str) -> None:
        """Nothing more: the file is open for this session alone."""

    def sql_type(self, field: pa.Field, *, key: bool) -> str | None:
        """DuckDB's type for an Arrow type."""
        return _SQL_TYPES.get(str(field.type))

    def append(self, table: str, rows: pa.Table) -> None:
        """By the driver's ingestion."""
        with closing(self.connection.cursor()) as cursor, self.deadline.cancelling(cursor.adbc_cancel):
            cursor.adbc_ingest(table, rows, mode="append")

    def delete(self, table: str, column: str, value: str) -> None:
        """With a plain question mark."""
        statement = f"DELETE FROM {self.quoted(table)} WHERE {self.quoted(column)} = ?"  # noqa: S608 - quoted
        self.fetch(statement, [value])


_SQL_TYPES = {
    "bool": "BOOLEAN",
    "int8": "SMALLINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "large_string": "VARCHAR",
    "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP",
    "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
}


def _cast(column: str, kind: str) -> str:
    base = base_type(kind)
    if base in _PLAIN:
        return column
    return f"CAST({column} AS DOUBLE)" if base in _NUMBERS else _as_text(column, kind)


def _list(column: str, element: str) -> str:
    base = base_type(element)
    if base in _PLAIN:
        return column
    if base in _NUMBERS:
        return f"CAST({column} AS DOUBLE[])"
    return f"list_transform({column}, lambda x: {_as_text('x', element)})"


def _as_text(column: str, kind: str) -> str:
    if kind.endswith("]") or base_type(kind) in _NESTED:
        return f"CAST(to_json({column}) AS VARCHAR)"
    if base_type(kind) == "BLOB":
        return f"'\\x' || lower(hex({column}))"
    return f"CAST({column} AS VARCHAR)"


@contextmanager
def open_duckdb(connection: Connection, read_only: bool, timeout: timedelta) -> Iterator[DuckDbSession]:
    """A transaction on the file that the connection's host names; waits for a file that is locked.

    Raises `UnavailableError` where another program has it open for writing until the timeout.
    """
    deadline = Deadline(timeout)
    with translated(connection, ERRORS, _meaning):
        path = local_file(connection, must_exist=read_only)
        with _alone(path, deadline, read_only), closing(_opened(path, read_only, deadline)) as session:
            opened = DuckDbSession(session, deadline)
            opened.fetch("SET TimeZone = 'UTC'")
            yield opened
            if not read_only:
                session.commit()


@contextmanager
def _alone(path: str, deadline: Deadline, read_only: bool) -> Iterator[None]:
    if read_only:
        yield
        return
    with _WRITERS_LOCK:
        lock = _WRITERS.setdefault(path, threading.Lock())
    if not lock.acquire(timeout=deadline.left):
        raise TimedOutError
    try:
        yield
    finally:
        lock.release()


def _opened(path: str, read_only: bool, deadline: Deadline) -> dbapi.Connection:
    options = {"path": path, **({"access_mode": "READ_ONLY"} if read_only else {})}
    pause = 0.02
    while True:
        try:
            return dbapi.connect(
                driver=adbc_driver_duckdb.driver_path(), entrypoint="duckdb_adbc_init", db_kwargs=options
            )
        except dbapi.Error as error:
            if _LOCKED not in str(error) or deadline.left < pause:
                raise
        time.sleep(pause)
        pause = min(2 * pause, 0.5)


def _meaning(error: Exception) -> Meaning:
    if _LOCKED in str(error):
        return Meaning.UNAVAILABLE
    found = meaning(error)
    return Meaning.WRONG if found is Meaning.UNAVAILABLE else found
