"""The databases that rows are read from, by the type of their connection.

To add one, add an entry here, and a module with its session if none of those that are there fits.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from evergreen.connections import Connection
from evergreen.databases.database import TIMEOUT, Database, Open, Session
from evergreen.errors import SourceError


def _in(module: str, name: str) -> Open:
    """The opener in a module, which is imported with its driver when a session is opened."""

    def opened(connection: Connection, read_only: bool, timeout: timedelta) -> Any:
        return getattr(importlib.import_module(f"evergreen.databases.{module}"), name)(
            connection, read_only, timeout
        )

    return opened


DATABASES: dict[str, Database] = {
    "sqlite": Database("SQLite", "adbc-driver-sqlite", "adbc_driver_sqlite", _in("sqlite", "open_sqlite")),
    "duckdb": Database("DuckDB", "duckdb", "adbc_driver_duckdb", _in("duckdb", "open_duckdb")),
}


def database(connection: Connection) -> Database:
    """The entry for the connection's type.

    Raises `SourceError` for a type that is none of a database, and where the driver is not installed.
    """
    where = f"connection '{connection.conn_id}'"
    if connection.conn_type == "postgres":
        raise SourceError(
            f"{where}: PostgreSQL has a kind of source of its own: write 'postgres' instead of 'sql'"
        )
    if (found := DATABASES.get(connection.conn_type)) is None:
        raise SourceError(
            f"{where}: its type '{connection.conn_type}' is none of {', '.join(DATABASES)}: change the "
            "connection's conn_type"
        )
    if importlib.util.find_spec(found.module) is None:
        raise SourceError(
            f"{where}: reading {found.name} needs the package {found.package}, which is not installed: "
            f"add it to requirements.in, or pip install {found.package}"
        )
    return found


@contextmanager
def session(
    connection: Connection, *, read_only: bool = True, timeout: timedelta = TIMEOUT
) -> Iterator[Session]:
    """A session with the connection's database, in one transaction.

    Raises `SourceError` where a retry cannot help and `UnavailableError` where it may; no message holds a
    secret of the connection.
    """
    with database(connection).open(connection, read_only, timeout) as opened:
        yield opened
