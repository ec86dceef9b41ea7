"""What SQLite and DuckDB have in common as a source: bounds, catalogue, SQL files, time limits, read-only."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evergreen.calendar import Calendar, Grain, Zone
from evergreen.connections import Connection
from evergreen.databases.registry import DATABASES, database, session
from evergreen.errors import SourceError, UnavailableError
from evergreen.sources import Source, Wanted
from evergreen.storage import Storage
from tests.unit.sources.sql.databases import DAY, Embedded

SALES = (
    "CREATE TABLE sales (sold TIMESTAMP, shop INTEGER, amount DOUBLE)",
    "INSERT INTO sales VALUES ('2023-12-31 23:59:59.999999', 1, 0.5), ('2024-01-01 00:00:00', 2, 1.5), "
    "('2024-01-01 23:59:59.999999', 3, NULL), ('2024-01-02 00:00:00', 4, 2.5), (NULL, 5, 0)",
)
# SQLite's driver cannot be cancelled: there the query ends by itself, some seconds later.
SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000000) "
    "SELECT CAST(max(i) AS INTEGER) AS i FROM n",
    "duckdb": "SELECT count(*) AS i FROM range(10000000) a(i), range(10000000) b(j) WHERE (i * j) % 7 = 3",
}


@pytest.fixture(params=["sqlite", "duckdb"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Embedded:
    found = Embedded(request.param, tmp_path)
    found.run(*SALES)
    return found


def test_a_table_gives_the_rows_of_the_partition_to_the_last_microsecond(shop: Embedded):
    rows = shop.rows(DAY, table="sales", time_column="sold")
    assert [row["shop"] for row in rows] == [2, 3]
    assert [row["sold"] for row in rows] == [
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(2024, 1, 1, 23, 59, 59, 999999, tzinfo=UTC),
    ]
    assert [row["shop"] for row in shop.rows(table="sales")] == [1, 2, 3, 4, 5]
    assert shop.rows(DAY, table="sales", time_column="sold", columns=["shop"]) == [{"shop": 2}, {"shop": 3}]


def test_times_without_a_zone_are_local(shop: Embedded):
    shop.zone = Zone("Europe/Berlin")
    bounds = tuple(datetime(2024, 1, day, 23, tzinfo=UTC) for day in (1, 2))
    shop.run("INSERT INTO sales VALUES ('2024-01-02 12:00:00', 6, 1)")
    rows = shop.rows((bounds[0], bounds[1]), table="sales", time_column="sold")
    assert [(row["shop"], row["sold"]) for row in rows] == [
        (4, datetime(2024, 1, 1, 23, tzinfo=UTC)),
        (6, datetime(2024, 1, 2, 11, tzinfo=UTC)),
    ]


def test_a_local_time_that_the_clocks_skip_is_rejected(shop: Embedded):
    shop.zone = Zone("Europe/Berlin")
    shop.run("INSERT INTO sales VALUES ('2024-03-31 02:30:00', 7, 1), ('2024-03-31 03:30:00', 8, 1)")
    bounds = (datetime(2024, 3, 30, 23, tzinfo=UTC), datetime(2024, 3, 31, 22, tzinfo=UTC))
    found = shop.read(bounds, table="sales", time_column="sold")
    assert found.table().column("shop").to_pylist() == [8]
    assert len(found.rejected) == 1
    assert "2024-03-31" in found.rejected[0].text


def test_days_are_times_too(shop: Embedded):
    shop.run(
        "CREATE TABLE days (day DATE, n INTEGER)",
        "INSERT INTO days VALUES ('2023-12-31', 1), ('2024-01-01', 2), ('2024-01-02', 3)",
    )
    assert shop.rows(DAY, table="days", time_column="day") == [
        {"day": datetime(2024, 1, 1, tzinfo=UTC), "n": 2}
    ]


@pytest.mark.parametrize(("start", "end"), [("$1", "$2"), ("$start", "$end"), ("$3", "$local_end")])
def test_a_sql_file_gets_the_bounds_as_parameters(shop: Embedded, start: str, end: str):
    query = (
        "SELECT shop, sold -- $1\nFROM sales "
        f"WHERE sold >= {start} AND sold < {end} AND '$1' <> '' ORDER BY shop;"
    )
    assert [row["shop"] for row in shop.rows(DAY, query=query, time_column="sold")] == [2, 3]


def test_names_that_are_not_there_are_told_with_the_nearest(shop: Embedded):
    for source, says in (
        ({"table": "sale"}, r"no table 'sale' \(nearest: sales\): create it or change the source's table"),
        ({"table": "x.y"}, r"no table 'x.y' \(there: sales\)"),
        ({"table": "sales", "columns": ["shopp"]}, r"has no column 'shopp' \(nearest: shop\)"),
        ({"table": "sales", "columns": ["zzz"]}, r"no column 'zzz' \(there: sold, shop, amount\)"),
        ({"table": "sales", "types": {"amout": "float"}}, r"there is no column 'amout'"),
        ({"query": "SELECT nope FROM sales"}, "nope"),
        ({"query": "DELETE FROM sales"}, "begins with DELETE"),
        ({"query": "SELECT $1 AS a"}, "has no bounds"),
    ):
        with pytest.raises(SourceError, match=says) as told:
            shop.rows(**source)
        assert "\n" not in str(told.value)
    shop.run("CREATE TABLE named (shop_name BLOB)")
    with pytest.raises(SourceError, match=r"time_column 'shop_name' .*: name one that holds times or days"):
        shop.rows(DAY, table="named", time_column="shop_name")


def test_odd_names_are_quoted(shop: Embedded):
    shop.run('CREATE TABLE "a ""b""; drop" ("x "" y" INTEGER, "order" INTEGER)')
    shop.run('INSERT INTO "a ""b""; drop" VALUES (1, 2)')
    assert shop.rows(table='a "b"; drop') == [{'x " y': 1, "order": 2}]


def test_a_time_column_of_a_declared_zone_is_held_against_the_partition_in_that_zone(shop: Embedded):
    shop.run(
        "CREATE TABLE calls (called TIMESTAMP, n INTEGER)",
        "INSERT INTO calls VALUES ('2024-01-01 05:29:59', 1), ('2024-01-01 05:30:00', 2), "
        "('2024-01-02 05:29:59', 3), ('2024-01-02 05:30:00', 4)",
    )
    types = {"called": "time in Asia/Kolkata"}
    rows = shop.rows(DAY, table="calls", time_column="called", types=types)
    assert [(row["n"], row["called"]) for row in rows] == [
        (2, datetime(2024, 1, 1, tzinfo=UTC)),
        (3, datetime(2024, 1, 1, 23, 59, 59, tzinfo=UTC)),
    ]
    query = "SELECT called, n FROM calls WHERE called >= $local_start AND called < $local_end"
    assert shop.rows(DAY, query=query, time_column="called", types=types) == rows


def test_rows_that_changed_in_a_window_have_their_event_time_and_key(shop: Embedded, storage: Storage):
    """The event time is a local day, and the time of change is of a zone of its own."""
    shop.run(
        "CREATE TABLE calls (day DATE, n TEXT, changed TIMESTAMP, more INTEGER)",
        "INSERT INTO calls VALUES ('2023-12-01', 'a', '2024-01-01 05:29:59', 1), "
        "('2023-12-02', 'b', '2024-01-01 05:30:00', 2), ('2023-12-03', 'c', '2024-01-02 05:29:59', 3), "
        "('2023-12-04', 'd', '2024-01-02 05:30:00', 4), ('2023-12-05', 'e', NULL, 5), (NULL, 'f', "
        "'2024-01-01 06:00:00', 6)",
    )
    said = {"conn_id": "shop_db", "table": "calls", "time_column": "day", "changed": {"column": "changed"}}
    types = {"changed": "time in Asia/Kolkata", "more": "decimal(5, 2)"}
    source = Source.model_validate({"sql": {**said, "types": types, "columns": ["more"]}})
    calendar = Calendar(Grain.DAILY, "Europe/Berlin")
    wanted = Wanted("2024-01-01", calendar, shop.folder, storage, lambda name: shop.connection)
    rows = source.read_changed(wanted, DAY, ["n"]).table().select(["day", "n"])
    assert rows.to_pylist() == [
        {"day": datetime(2023, 12, 1, 23, tzinfo=UTC), "n": "b"},
        {"day": datetime(2023, 12, 2, 23, tzinfo=UTC), "n": "c"},
        {"day": None, "n": "f"},
    ]


def test_a_read_is_ended_at_its_timeout(shop: Embedded):
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="took longer than its timeout: run again, or raise"):
        shop.rows(query=SLOW[shop.kind], timeout="1 second")
    assert time.monotonic() - began < 30


def test_nothing_can_be_written(shop: Embedded):
    with pytest.raises(SourceError, match="read"), session(shop.connection) as opened:
        opened.fetch("DELETE FROM sales")
    assert len(shop.rows(table="sales")) == 5


def test_a_file_that_is_not_there(shop: Embedded):
    missing = replace(shop, folder=shop.folder / "nowhere")
    with pytest.raises(SourceError, match=r"connection 'shop_db': there is no file .*nowhere"):
        missing.rows(table="sales")
    missing.connection = replace(shop.connection, host="shop.db")
    with pytest.raises(SourceError, match=r"'shop\.db' is no absolute path"):
        missing.rows(table="sales")


def test_an_abandoned_read_frees_the_file(shop: Embedded):
    shop.read(table="sales").close()
    shop.run("DROP TABLE sales")


def test_a_type_of_connection_that_is_no_database():
    with pytest.raises(SourceError, match=r"its type 'http' is none of postgres, sqlite, duckdb"):
        database(Connection("shop_db", "http"))
    with (
        pytest.raises(SourceError, match=r"write 'postgres' instead of 'sql'"),
        session(Connection("shop_db", "postgres")),
    ):
        pass


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(DATABASES, "sqlite", replace(DATABASES["sqlite"], module="no_such_driver"))
    with pytest.raises(SourceError, match="needs the package adbc-driver-sqlite, which is not installed"):
        database(Connection("shop_db", "sqlite"))
