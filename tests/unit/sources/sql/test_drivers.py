"""The drivers' own interfaces: what is common to ADBC drivers on DuckDB's, and to SQLAlchemy on SQLite's.

What a connection becomes for a database that is not here is held against the drivers' documentation.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import adbc_driver_duckdb
import pytest
import sqlalchemy
from adbc_driver_manager import dbapi

from evergreen.connections import Connection
from evergreen.databases import alchemy, warehouses
from evergreen.databases.adbc import ERRORS, meaning
from evergreen.databases.database import Database
from evergreen.databases.deadline import Deadline
from evergreen.databases.errors import translated
from evergreen.databases.registry import DATABASES
from evergreen.errors import SourceError, UnavailableError
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
    return sqlalchemy.URL.create("sqlite", database=connection.host)


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
        "CREATE TABLE t (a BOOLEAN, b NUMERIC(12, 2), c DATE, d TIME, e BLOB, f BIGINT, g TEXT)",
        "INSERT INTO t VALUES (1, 1.5, '2024-01-01', '05:06:07.000000', x'00ff', 9007199254740993, 'ü')",
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
    for made, written in (
        (alchemy.address("mssql+pymssql"), "mssql+pymssql://me:s3cret%2F%40@db.example.org/shop"),
        (alchemy.address("clickhousedb"), "clickhousedb://me:s3cret%2F%40@db.example.org/shop"),
    ):
        assert made(LOGIN).render_as_string(hide_password=False) == written
    named = replace(LOGIN, extra={"catalog": "hive", "query": {"http_scheme": "https"}})
    url = alchemy.address("trino", database="catalog")(named)
    assert (url.database, url.query["http_scheme"]) == ("hive", "https")


@pytest.mark.parametrize("conn_type", ["snowflake", "gcpbigquery", "flightsql", "oracle", "trino", "mssql"])
def test_a_package_that_is_missing_is_named_in_one_line(conn_type: str, tmp_path: Path):
    shop = Embedded("sqlite", tmp_path)
    shop.connection = Connection("shop_db", conn_type, "localhost")
    with pytest.raises(SourceError, match=f"needs the package {DATABASES[conn_type].package}, which is not"):
        shop.rows(table="t")
