"""The drivers' own interfaces: what is common to ADBC drivers on DuckDB's, and to SQLAlchemy on SQLite's.

What a connection becomes for a database that is not here is held against the drivers' documentation.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import adbc_driver_duckdb
import pytest
import sqlalchemy
from adbc_driver_manager import dbapi
from sqlalchemy.dialects import mssql, oracle

from evergreen.connections import Connection
from evergreen.databases import alchemy, warehouses
from evergreen.databases.adbc import ERRORS, meaning
from evergreen.databases.database import Bounds, Database
from evergreen.databases.deadline import Deadline
from evergreen.databases.errors import translated
from evergreen.databases.registry import DATABASES
from evergreen.errors import SourceError, UnavailableError
from tests.servers import unused_port
from tests.unit.sources.sql.databases import DAY, Embedded


@contextmanager
def by_adbc(connection: Connection, timeout: timedelta) -> Iterator[warehouses.WarehouseSession]:
    """What all warehouses have in common, on DuckDB's driver."""
    with (
        translated(connection, ERRORS, meaning),
        closing(
            dbapi.connect(
                driver=adbc_driver_duckdb.driver_path(),
                entrypoint="duckdb_adbc_init",
                db_kwargs={"path": str(connection.host)},
            )
        ) as opened,
    ):
        opened.cursor().execute("SET TimeZone = 'UTC'")
        yield warehouses.WarehouseSession(opened, Deadline(timeout))


def sqlite_address(connection: Connection) -> sqlalchemy.URL:
    return sqlalchemy.URL.create("sqlite", database=connection.host, query={"check_same_thread": "false"})


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Embedded:
    found = Embedded("duckdb", tmp_path)
    entry = Database("a warehouse", "duckdb", "adbc_driver_duckdb", read=by_adbc)
    monkeypatch.setitem(DATABASES, "duckdb", entry)
    return found


@pytest.fixture
def dialect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Embedded:
    found = Embedded("sqlite", tmp_path)
    entry = Database("a dialect", "sqlalchemy", "sqlalchemy", read=alchemy.reader(sqlite_address))
    monkeypatch.setitem(DATABASES, "sqlite", entry)
    return found


SALES = (
    "CREATE TABLE sales (sold TIMESTAMP, shop INTEGER, amount DOUBLE, name VARCHAR(9))",
    "INSERT INTO sales VALUES ('2023-12-31 23:59:59.999999', 1, 0.5, 'a:b'), "
    "('2024-01-01 00:00:00.000000', 2, 1.5, '%'), ('2024-01-01 23:59:59.999999', 3, NULL, NULL), "
    "('2024-01-02 00:00:00.000000', 4, 2.5, 'x')",
)
DECLARED = {"sold": "time", "shop": "int", "name": "text"}


@pytest.mark.parametrize("kind", ["warehouse", "dialect"])
def test_tables_and_queries_are_read(request: pytest.FixtureRequest, kind: str):
    shop: Embedded = request.getfixturevalue(kind)
    shop.run(*SALES)
    rows = shop.rows(DAY, table="sales", time_column="sold")
    assert [row["shop"] for row in rows] == [2, 3]
    assert rows[1] == {
        "sold": datetime(2024, 1, 1, 23, 59, 59, 999999, tzinfo=UTC),
        "shop": 3,
        "amount": None,
        "name": None,
    }
    assert len(shop.rows(table="main.sales")) == 4
    query = "SELECT sold, shop, name FROM sales WHERE sold >= $3 AND sold < $4 AND ':p0' <> '%' ORDER BY 1"
    rows = shop.rows(DAY, query=query, time_column="sold", types=DECLARED)
    assert [(row["shop"], row["name"]) for row in rows] == [(2, "%"), (3, None)]


@pytest.mark.parametrize("kind", ["warehouse", "dialect"])
def test_what_is_not_there_is_told(request: pytest.FixtureRequest, kind: str):
    shop: Embedded = request.getfixturevalue(kind)
    shop.run(*SALES)
    for source, says in (
        ({"table": "sale"}, r"no table 'sale' \(nearest: (main\.)?sales\)"),
        ({"table": "sales", "columns": ["shopp"]}, r"no column 'shopp' \(nearest: shop\)"),
        ({"query": "SELECT nope FROM sales", "types": {"nope": "int"}}, "nope"),
    ):
        with pytest.raises((SourceError, UnavailableError), match=says) as told:
            shop.rows(**source)
        assert "\n" not in str(told.value)


def test_a_warehouse_is_cancelled(warehouse: Embedded):
    endless = "SELECT count(*) AS i FROM range(10000000) a(i), range(10000000) b(j) WHERE (i * j) % 7 = 3"
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="took longer than its timeout"):
        warehouse.rows(query=endless, timeout="1 second")
    assert time.monotonic() - began < 30


def test_a_dialect_is_interrupted(dialect: Embedded):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS i FROM n"
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="took longer than its timeout"):
        dialect.rows(query=endless, types={"i": "int"}, timeout="1 second")
    assert time.monotonic() - began < 30


def test_the_types_of_a_dialect(dialect: Embedded):
    dialect.run(
        "CREATE TABLE t (a BOOLEAN, b NUMERIC(12, 2), c DATE, d TIME, e BLOB, f BIGINT, g TEXT, h JSON)",
        "INSERT INTO t VALUES (1, 1.5, '2024-01-01', '05:06:07.000000', x'00ff', 9007199254740993, 'ü', "
        '\'{"a": [1, null, "ü"]}\')',
    )
    row = dialect.rows(table="t", types={"b": "decimal(12, 2)"})[0]
    assert row == {
        "a": True,
        "b": Decimal("1.50"),
        "c": date(2024, 1, 1),
        "d": "05:06:07",
        "e": "\\x00ff",
        "f": 2**53 + 1,
        "g": "ü",
        "h": '{"a": [1, null, "ü"]}',
    }


def test_a_row_with_a_value_that_is_none_of_its_type_is_rejected(dialect: Embedded):
    dialect.run("CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1), ('six'), (3)")
    found = dialect.read(table="t")
    assert found.table().column("n").to_pylist() == [1, 3]
    assert found.rejected[0].text == '{"n": "six"}'
    assert "column 'n' cannot be read as int64" in found.rejected[0].reason


def test_a_column_of_a_query_of_a_dialect_has_to_be_declared(dialect: Embedded):
    dialect.run(*SALES)
    with pytest.raises(SourceError, match="column 'shop' of the query: the driver does not say its type"):
        dialect.rows(query="SELECT shop FROM sales")


LOGIN = Connection("w", "x", "db.example.org", None, "me", "s3cret/@", "shop", {})


def test_what_a_connection_becomes_for_drivers_of_adbc():
    account = {"account": "ab123", "database": "SALES", "warehouse": "W", "role": "R"}
    assert warehouses.snowflake_options(replace(LOGIN, extra=account)) == {
        "username": "me",
        "password": "s3cret/@",
        "adbc.snowflake.sql.account": "ab123",
        "adbc.snowflake.sql.db": "SALES",
        "adbc.snowflake.sql.schema": "shop",
        "adbc.snowflake.sql.warehouse": "W",
        "adbc.snowflake.sql.role": "R",
        "adbc.snowflake.sql.client_option.app_name": "evergreen",
        "adbc.snowflake.sql.client_option.login_timeout": "60s",
        "adbc.snowflake.sql.client_option.max_timestamp_precision": "nanoseconds_error_on_overflow",
    }
    prefixed = {f"extra__snowflake__{name}": value for name, value in account.items()}
    assert warehouses.snowflake_options(replace(LOGIN, extra=prefixed))["adbc.snowflake.sql.db"] == "SALES"
    google = Connection("w", "gcpbigquery", schema="sales", extra={"project": "p", "keyfile_dict": {"a": 1}})
    assert warehouses.bigquery_options(google) == {
        "adbc.bigquery.sql.project_id": "p",
        "adbc.bigquery.sql.dataset_id": "sales",
        "adbc.bigquery.sql.auth_type": "adbc.bigquery.sql.auth_type.json_credential_string",
        "adbc.bigquery.sql.auth_credentials": '{"a": 1}',
    }
    assert warehouses.flight_sql_options(replace(LOGIN, port=8815, extra={"tls": False})) == {
        "uri": "grpc://db.example.org:8815",
        "username": "me",
        "password": "s3cret/@",
    }
    token = warehouses.flight_sql_options(replace(LOGIN, login=None))
    assert token["adbc.flight.sql.authorization_header"] == "Bearer s3cret/@"
    assert "port='5439'" in warehouses.redshift_options(LOGIN)["uri"]


def test_what_a_connection_becomes_for_dialects_of_sqlalchemy():
    secret = "me:s3cret%2F%40@db.example.org"
    for made, extra, written in (
        (alchemy.mssql_address, {}, f"mssql+pymssql://{secret}/shop"),
        (alchemy.oracle_address, {}, f"oracle+oracledb://{secret}?service_name=shop"),
        (alchemy.oracle_address, {"service_name": "XE"}, f"oracle+oracledb://{secret}?service_name=XE"),
        (alchemy.oracle_address, {"sid": "ORCL"}, f"oracle+oracledb://{secret}/ORCL"),
        (alchemy.trino_address, {"catalog": "hive"}, f"trino://{secret}/hive/shop"),
        (
            alchemy.trino_address,
            {"catalog": "hive", "query": {"source": "x"}},
            f"trino://{secret}/hive/shop?source=x",
        ),
    ):
        assert made(replace(LOGIN, extra=extra)).render_as_string(hide_password=False) == written


def test_what_drivers_are_told_besides():
    assert alchemy.mssql_arguments(LOGIN, 60) == {"timeout": 60, "login_timeout": 60}
    ended = {"request_timeout": 60, "session_properties": {"query_max_run_time": "60s"}}
    assert alchemy.trino_arguments(LOGIN, 60) == {**ended, "http_scheme": "https"}
    assert alchemy.trino_arguments(replace(LOGIN, password=None), 60) == ended
    plain = replace(LOGIN, extra={"protocol": "http", "query": {"session_properties": "{}"}})
    assert alchemy.trino_arguments(plain, 60) == {"request_timeout": 60, "http_scheme": "http"}


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server that accepts and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def by_psycopg(connection: Connection) -> sqlalchemy.URL:
    return sqlalchemy.URL.create(
        "postgresql+psycopg", connection.login, connection.password, connection.host, connection.port, "shop"
    )


@pytest.mark.parametrize("read", [warehouses.read_redshift, alchemy.reader(by_psycopg)])
def test_a_connection_that_hangs_ends_at_the_timeout(read: Callable[..., Any]):
    began = time.monotonic()
    with silent() as port:
        waiting = replace(LOGIN, host="127.0.0.1", port=port)
        with (
            pytest.raises(UnavailableError, match="took longer than its timeout") as told,
            read(waiting, timedelta(seconds=1)),
        ):
            pass
    assert time.monotonic() - began < 30
    assert "s3cret" not in str(told.value)


def test_a_server_that_is_not_there_is_told_in_one_line():
    absent = replace(LOGIN, host="127.0.0.1", port=unused_port())
    for read in (warehouses.read_redshift, alchemy.reader(by_psycopg)):
        with (
            pytest.raises(UnavailableError, match="check that the database can be reached") as told,
            read(absent, timedelta(seconds=30)),
        ):
            pass
        assert "\n" not in str(told.value)
        assert "s3cret" not in str(told.value)


class ServerError(Exception):
    """An error as a driver raises it."""


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        # SQL Server's driver: a number and bytes, in one tuple, and every error operational.
        (
            ((18456, b"Login failed\n for user"),),
            SourceError,
            "18456: Login failed for user: check its login",
        ),
        (((4060, b"Cannot open database"),), SourceError, "check its login, password and database"),
        (((245, b"Conversion failed"),), SourceError, "fix the statement"),
        (((1205, b"deadlock victim"),), UnavailableError, "then run again"),
        (((20009, b"Unable to connect"),), UnavailableError, "20009: Unable to connect"),
        (("ORA-01017: invalid credential",), SourceError, "check its login, password and database"),
        (("error 401: Unauthorized",), SourceError, "check its login, password and database"),
        (("connection reset",), UnavailableError, "then run again"),
    ],
)
def test_what_errors_of_drivers_mean(arguments: tuple[Any, ...], error: type[Exception], says: str):
    raised = sqlalchemy.exc.OperationalError("SELECT 's3cret'", None, ServerError(*arguments))
    with pytest.raises(error, match=says) as told, alchemy.told(LOGIN):
        raise raised
    assert "SELECT" not in str(told.value)


def test_moments_of_sql_server_and_oracle_are_told_from_local_times():
    for kind, expected in (
        (mssql.DATETIMEOFFSET(), "moment"),
        (mssql.DATETIME2(), "datetime"),
        (oracle.TIMESTAMP(local_timezone=True), "moment"),
        (oracle.TIMESTAMP(timezone=True), "moment"),
        (oracle.TIMESTAMP(), "datetime"),
        (oracle.DATE(), "datetime"),
    ):
        assert alchemy.kind_of(kind) == expected, kind


def test_statements_are_written_as_each_dialect_needs_them():
    moments = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2)]
    bounds = Bounds(*moments, *(moment.replace(tzinfo=None) for moment in moments))
    for dialect, kind, selected, condition in (
        (
            oracle.dialect(),
            "moment",
            'SYS_EXTRACT_UTC("SOLD") AS "SOLD"',
            "\"SOLD\" >= FROM_TZ(CAST(:p0 AS TIMESTAMP), 'UTC') "
            "AND \"SOLD\" < FROM_TZ(CAST(:p1 AS TIMESTAMP), 'UTC')",
        ),
        (oracle.dialect(), "datetime", '"SOLD"', '"SOLD" >= :p0 AND "SOLD" < :p1'),
        (
            mssql.dialect(),
            "moment",
            "[sold]",
            "[sold] >= CAST(:p0 AS datetimeoffset) AND [sold] < CAST(:p1 AS datetimeoffset)",
        ),
        (
            mssql.dialect(),
            "datetime",
            "[sold]",
            "[sold] >= CAST(:p0 AS datetime2) AND [sold] < CAST(:p1 AS datetime2)",
        ),
    ):
        connection = cast("sqlalchemy.Connection", SimpleNamespace(dialect=dialect))
        opened = alchemy.AlchemySession(connection, Deadline(timedelta(seconds=1)))
        assert opened.selected("sold", kind) == selected
        found = opened.between("sold", kind, bounds)
        assert found is not None
        assert str(alchemy.as_text_clause(found[0])) == condition


@pytest.mark.parametrize("conn_type", ["snowflake", "gcpbigquery", "flightsql", "oracle", "trino", "mssql"])
def test_a_package_that_is_missing_is_named_in_one_line(conn_type: str, tmp_path: Path):
    shop = Embedded("sqlite", tmp_path)
    shop.connection = Connection("shop_db", conn_type, "localhost")
    with pytest.raises(SourceError, match=f"needs the package {DATABASES[conn_type].package}, which is not"):
        shop.rows(table="t")
