"""DuckDB: files that are opened in this process, read-only, by the driver that its package contains."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import adbc_driver_duckdb
import pyarrow as pa
from adbc_driver_manager import dbapi

from evergreen.connections import Connection
from evergreen.databases.adbc import ERRORS, AdbcSession, base_type, meaning_in_process, table_names
from evergreen.databases.database import Bounds, TableFound
from evergreen.databases.deadline import Deadline
from evergreen.databases.errors import Meaning, TimedOutError, translated
from evergreen.databases.local_file import local_file
from evergreen.databases.writer import Writer

_PLAIN = {
    *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"),
    *("FLOAT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
    "TIMESTAMP WITH TIME ZONE",
}
_NUMBERS = {"DECIMAL", "HUGEINT", "UHUGEINT", "UBIGINT"}
_NESTED = ("STRUCT", "MAP", "UNION")
_LOCAL = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE"}
_STAGED = "evergreen_rows"
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


class DuckDbSession(AdbcSession):
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


class DuckDbWriter(Writer):
    """A transaction on a DuckDB file, which is open for it alone."""

    arrays = True
    types = MappingProxyType(
        {
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
    )

    def __init__(self, session: DuckDbSession) -> None:
        self._session = session

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives."""
        return self._session.fetch(statement, values)

    def lock(self, table: str) -> None:
        """Nothing more: the file is open for this writer alone."""

    def shape(self, table: str) -> dict[str, str]:
        """From the information schema."""
        return dict(self.run(_COLUMNS, ["main", table]))

    def append(self, table: str, rows: pa.Table) -> None:
        """By the driver's ingestion into a table of its own, as that goes by the order of the columns."""
        session = self._session
        with closing(session.connection.cursor()) as cursor, session.deadline.cancelling(cursor.adbc_cancel):
            cursor.adbc_ingest(_STAGED, rows, mode="create", temporary=True)
            names = ", ".join(self.quoted(name) for name in rows.column_names)
            statement = f"INSERT INTO {self.quoted(table)} ({names}) SELECT {names} FROM temp.{_STAGED}"  # noqa: S608
            cursor.execute(statement)
            cursor.execute(f"DROP TABLE temp.{_STAGED}")


@contextmanager
def read_duckdb(connection: Connection, timeout: timedelta) -> Iterator[DuckDbSession]:
    """A read-only transaction on the file that the connection's host names; waits for a file that is locked.

    Raises `UnavailableError` where another program has it open for writing until the timeout.
    """
    with translated(connection, ERRORS, _meaning):
        path = local_file(connection, must_exist=True)
        with _session(path, Deadline(timeout), {"access_mode": "READ_ONLY"}) as session:
            yield session


@contextmanager
def write_duckdb(connection: Connection, timeout: timedelta) -> Iterator[DuckDbWriter]:
    """A transaction on the file, which is created if it is absent; other writers wait for its end."""
    deadline = Deadline(timeout)
    with translated(connection, ERRORS, _meaning):
        path = local_file(connection, must_exist=False)
        with _alone(path, deadline), _session(path, deadline, {}) as session:
            yield DuckDbWriter(session)
            session.connection.commit()


@contextmanager
def _session(path: str, deadline: Deadline, options: Mapping[str, str]) -> Iterator[DuckDbSession]:
    with closing(_opened({"path": path, **options}, deadline)) as opened:
        session = DuckDbSession(opened, deadline)
        session.fetch("SET TimeZone = 'UTC'")
        yield session


@contextmanager
def _alone(path: str, deadline: Deadline) -> Iterator[None]:
    with _WRITERS_LOCK:
        lock = _WRITERS.setdefault(path, threading.Lock())
    if not lock.acquire(timeout=deadline.left):
        raise TimedOutError
    try:
        yield
    finally:
        lock.release()


def _opened(options: Mapping[str, str], deadline: Deadline) -> dbapi.Connection:
    pause = 0.02
    while True:
        try:
            return dbapi.connect(
                driver=adbc_driver_duckdb.driver_path(),
                entrypoint="duckdb_adbc_init",
                db_kwargs=dict(options),
            )
        except dbapi.Error as error:
            if _LOCKED not in str(error) or deadline.left < pause:
                raise
        time.sleep(pause)
        pause = min(2 * pause, 0.5)


def _meaning(error: Exception) -> Meaning:
    return meaning_in_process(error, is_locked=_LOCKED in str(error))
