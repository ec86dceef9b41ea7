"""The databases that rows are read from and written to, by the type of their connection.

To add one, add an entry here, and a module with its session if none of those that are there fits.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from evergreen.connections import Connection
from evergreen.databases.database import TIMEOUT, Database, Session
from evergreen.databases.writer import Writer
from evergreen.errors import SourceError


def _in(module: str, name: str) -> Callable[[Connection, timedelta], Any]:
    """The opener in a module, which is imported with its driver when it is called."""

    def opened(connection: Connection, timeout: timedelta) -> Any:
        return getattr(importlib.import_module(f"evergreen.databases.{module}"), name)(connection, timeout)

    return opened


_ELSEWHERE = "name a connection to another database in scoring, or read the lake's table of predictions"
_MYSQL = Database(
    "MySQL or MariaDB",
    "pymysql",
    "pymysql",
    read=_in("mysql", "read_mysql"),
    write=_in("mysql_writer", "write_mysql"),
    backslashes=True,
)
DATABASES: dict[str, Database] = {
    "postgres": Database(
        "PostgreSQL",
        "adbc-driver-postgresql",
        "adbc_driver_postgresql",
        write=_in("postgres_writer", "write_postgres"),
        no_reads="PostgreSQL has a kind of source of its own: write 'postgres' instead of 'sql'",
    ),
    "sqlite": Database(
        "SQLite",
        "adbc-driver-sqlite",
        "adbc_driver_sqlite",
        read=_in("sqlite", "read_sqlite"),
        write=_in("sqlite_writer", "write_sqlite"),
    ),
    "duckdb": Database(
        "DuckDB",
        "duckdb",
        "adbc_driver_duckdb",
        read=_in("duckdb", "read_duckdb"),
        write=_in("duckdb", "write_duckdb"),
    ),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "redshift": Database(
        "Redshift",
        "adbc-driver-postgresql",
        "adbc_driver_postgresql",
        read=_in("warehouses", "read_redshift"),
        no_writes=f"its primary keys are not checked, so two writers could leave two copies: {_ELSEWHERE}",
    ),
    "snowflake": Database(
        "Snowflake",
        "adbc-driver-snowflake",
        "adbc_driver_snowflake",
        read=_in("warehouses", "read_snowflake"),
        no_writes=f"its primary keys are not checked, so two writers could leave two copies: {_ELSEWHERE}",
    ),
    "gcpbigquery": Database(
        "BigQuery",
        "adbc-driver-bigquery",
        "adbc_driver_bigquery",
        read=_in("warehouses", "read_bigquery"),
        no_writes=f"its driver has no transactions: {_ELSEWHERE}",
    ),
    "flightsql": Database(
        "Flight SQL",
        "adbc-driver-flightsql",
        "adbc_driver_flightsql",
        read=_in("warehouses", "read_flight_sql"),
        no_writes=f"not every server has transactions: {_ELSEWHERE}",
    ),
    "mssql": Database(
        "SQL Server",
        "pymssql",
        "pymssql",
        read=_in("alchemy", "read_mssql"),
        no_writes=f"this is not tested: {_ELSEWHERE}",
    ),
    "oracle": Database(
        "Oracle",
        "oracledb",
        "oracledb",
        read=_in("alchemy", "read_oracle"),
        no_writes=f"this is not tested: {_ELSEWHERE}",
    ),
    "trino": Database(
        "Trino",
        "trino",
        "trino",
        read=_in("alchemy", "read_trino"),
        no_writes=f"not every catalogue has transactions: {_ELSEWHERE}",
    ),
    "clickhouse": Database(
        "ClickHouse",
        "clickhouse-connect",
        "clickhouse_connect",
        read=_in("clickhouse", "read_clickhouse"),
        no_writes=f"it has no transactions: {_ELSEWHERE}",
        backslashes=True,
    ),
}


def database(connection: Connection) -> Database:
    """The entry for the connection's type.

    Raises `SourceError` for a type that is none of a database, and where the driver is not installed.
    """
    if (found := DATABASES.get(connection.conn_type)) is None:
        raise SourceError(
            f"{_where(connection)}: its type '{connection.conn_type}' is none of {', '.join(DATABASES)}: "
            "change the connection's conn_type"
        )
    if importlib.util.find_spec(found.module) is None:
        raise SourceError(
            f"{_where(connection)}: {found.name} needs the package {found.package}, which is not installed: "
            f"add it to requirements.in, or pip install {found.package}"
        )
    return found


@contextmanager
def session(connection: Connection, *, timeout: timedelta = TIMEOUT) -> Iterator[Session]:
    """A read-only session with the connection's database, in one transaction.

    Raises `SourceError` where a retry cannot help and `UnavailableError` where it may; no message holds a
    secret of the connection.
    """
    with _reader(connection)(connection, timeout) as opened:
        yield opened


def check_reads(connection: Connection) -> None:
    """Raise `SourceError` for a connection that no rows can be read from by `session`; asks nobody."""
    _reader(connection)


@contextmanager
def writer(connection: Connection, *, timeout: timedelta = TIMEOUT) -> Iterator[Writer]:
    """A transaction that writes to the connection's database. Raises as `session` does."""
    found = database(connection)
    if found.write is None:
        raise SourceError(
            f"{_where(connection)}: predictions cannot be written to {found.name}: {found.no_writes}"
        )
    with found.write(connection, timeout) as opened:
        yield opened


def _reader(connection: Connection) -> Callable[[Connection, timedelta], Any]:
    found = database(connection)
    if found.read is None:
        raise SourceError(f"{_where(connection)}: {found.no_reads}")
    return found.read


def _where(connection: Connection) -> str:
    return f"connection '{connection.conn_id}'"
