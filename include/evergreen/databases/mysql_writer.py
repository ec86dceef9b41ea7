"""Writing to MySQL and MariaDB."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pymysql
from pymysql.cursors import Cursor

from evergreen.connections import Connection
from evergreen.databases.adbc import base_type
from evergreen.databases.deadline import Deadline
from evergreen.databases.errors import TimedOutError, translated
from evergreen.databases.mysql import BATCH_ROWS, LOCAL, MOMENT, WHOLE, meaning, opened, quoted, run
from evergreen.databases.writer import Writer
from evergreen.errors import SourceError


class MySqlWriter(Writer):
    """A transaction of InnoDB, which a named lock keeps other writers of the table out of."""

    mark = "%s"
    types = MappingProxyType(
        {
            "bool": "TINYINT(1)",
            "int8": "SMALLINT",
            "int16": "SMALLINT",
            "int32": "INT",
            "int64": "BIGINT",
            "float": "DOUBLE",
            "double": "DOUBLE",
            "string": "LONGTEXT",
            "large_string": "LONGTEXT",
            "date32[day]": "DATE",
            "timestamp[us]": "DATETIME(6)",
            "timestamp[us, tz=UTC]": "DATETIME(6)",
        }
    )

    def __init__(self, connection: Any, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def quoted(self, name: str) -> str:
        """In backticks."""
        return quoted(name)

    def sql_type(self, kind: pa.DataType, *, key: bool) -> str | None:
        """A text that is a key has 255 letters at most: an index has no room for more."""
        found = super().sql_type(kind, key=key)
        return "VARCHAR(255)" if key and found == "LONGTEXT" else found

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives."""
        self._deadline.check()
        with closing(self._connection.cursor(Cursor)) as cursor:
            cursor.execute(statement, tuple(values) or None)
            return list(cursor.fetchall())

    def lock(self, table: str) -> None:
        """By a named lock, which ends with the connection."""
        digest = hashlib.sha256(f"{self._connection.db!r}.{table}".encode()).hexdigest()[:40]
        got = self.run("SELECT GET_LOCK(%s, %s)", [f"evergreen.{digest}", math.ceil(self._deadline.left)])
        if got != [(1,)]:
            raise TimedOutError

    def create(self, table: str, columns: Any, keys: Sequence[str]) -> None:
        """An InnoDB table, whose texts differ by letter case and blanks at the end."""
        typed = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items())
        primary = ", ".join(quoted(key) for key in keys)
        (version,) = self.run("SELECT VERSION()")
        collation = "utf8mb4_nopad_bin" if "MariaDB" in version[0] else "utf8mb4_0900_bin"
        by_key = ", ".join(quoted(key) for key in keys[1:])
        indexed = f", INDEX ({by_key})" if by_key else ""
        self.run(
            f"CREATE TABLE {quoted(table)} ({typed}, PRIMARY KEY ({primary}){indexed}) "
            f"ENGINE InnoDB CHARACTER SET utf8mb4 COLLATE {collation}"
        )
        self.run("START TRANSACTION")

    def extend(self, table: str, columns: Mapping[str, str]) -> None:
        """A change of a table ends the transaction, so another is begun."""
        super().extend(table, columns)
        self.run("START TRANSACTION")

    def shape(self, table: str) -> dict[str, str]:
        """From the information schema; raises `SourceError` for a table without transactions."""
        engines = self.run(
            "SELECT engine FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND table_name = %s",
            [table],
        )
        if engines and engines[0][0] != "InnoDB":
            raise SourceError(
                f"table '{table}' is of the engine {engines[0][0]}, which has no transactions: "
                f"ALTER TABLE {table} ENGINE InnoDB, or name another in scoring.table"
            )
        found = self.run(
            "SELECT column_name, column_type FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND table_name = %s",
            [table],
        )
        return {name: _as_declared(kind.upper()) for name, kind in found}

    def append(self, table: str, rows: pa.Table) -> None:
        """By statements of many rows; moments are written in UTC."""
        names = ", ".join(quoted(name) for name in rows.column_names)
        marks = ", ".join(["%s"] * rows.num_columns)
        statement = f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks})"  # noqa: S608 - quoted
        statement = statement if "%" not in names else statement.replace(names, names.replace("%", "%%"))
        for batch in rows.to_batches(BATCH_ROWS):
            self._deadline.check()
            columns = [_written(column).to_pylist() for column in batch.columns]
            with closing(self._connection.cursor(Cursor)) as cursor:
                cursor.executemany(statement, list(zip(*columns, strict=True)))


def _as_declared(kind: str) -> str:
    """A type as `MySqlWriter.types` writes it: whole numbers without their display width."""
    base = base_type(kind)
    return base if base in WHOLE and kind != "TINYINT(1)" else kind


def _written(column: pa.Array) -> pa.Array:
    return column.cast(LOCAL) if column.type == MOMENT else column


@contextmanager
def write_mysql(connection: Connection, timeout: timedelta) -> Iterator[MySqlWriter]:
    """A transaction; what it locks is free when its connection ends, however that ends."""
    deadline = Deadline(timeout)
    with translated(connection, (pymysql.MySQLError,), meaning):
        session = opened(connection, deadline)
        try:
            run(session, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            yield MySqlWriter(session, deadline)
            session.commit()
        finally:
            with suppress(pymysql.MySQLError):
                session.close()
