"""Writing to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from evergreen.connections import Connection
from evergreen.databases.writer import Writer
from evergreen.postgres import transaction

_SHAPE = """
    SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
"""


class PostgresWriter(Writer):
    """A transaction of PostgreSQL."""

    mark = "$1"
    arrays = True
    types = MappingProxyType(
        {
            "bool": "boolean",
            "int8": "smallint",
            "int16": "smallint",
            "int32": "integer",
            "int64": "bigint",
            "float": "real",
            "double": "double precision",
            "string": "text",
            "large_string": "text",
            "date32[day]": "date",
            "timestamp[us]": "timestamp without time zone",
            "timestamp[us, tz=UTC]": "timestamp with time zone",
        }
    )

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives."""
        self._cursor.execute(statement, list(values) or None)
        return list(self._cursor.fetchall()) if self._cursor.description else []

    def lock(self, table: str) -> None:
        """By an advisory lock of the transaction: IF NOT EXISTS alone is no lock."""
        self.run("SELECT pg_advisory_xact_lock(hashtext($1))", [f"evergreen.{table}"])

    def shape(self, table: str) -> dict[str, str]:
        """From pg_attribute."""
        return dict(self.run(_SHAPE, [self.quoted(table)]))

    def json_column(self, texts: Sequence[str | None]) -> tuple[str, pa.Array]:
        """As jsonb, which COPY takes as its version, a byte, and the text."""
        return "jsonb", pa.array(
            [None if text is None else b"\x01" + text.encode() for text in texts], pa.binary()
        )

    def append(self, table: str, rows: pa.Table) -> None:
        """By COPY."""
        self._cursor.adbc_ingest(table, rows, mode="append")


@contextmanager
def write_postgres(connection: Connection, timeout: timedelta) -> Iterator[PostgresWriter]:
    """A transaction on the connection's database."""
    with transaction(connection, timeout=timeout) as cursor:
        yield PostgresWriter(cursor)
