"""Columns of PostgreSQL without a time zone: local times and local days of the pipeline's zone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evergreen.calendar import Calendar, Grain
from evergreen.connections import Connection
from evergreen.rows.batches import Rows
from evergreen.sources.postgres.description import PostgresSource
from evergreen.sources.postgres.read import read_postgres
from tests.integration.ingestion.database import Database

HOURLY, DAILY = (Calendar(grain, "Europe/Berlin") for grain in (Grain.HOURLY, Grain.DAILY))


@pytest.fixture
def database(postgres_server: Connection, tmp_path: Path) -> Database:
    return Database(replace(postgres_server, conn_id="shop_db"), tmp_path)


def read(database: Database, calendar: Calendar, key: str, **source: Any) -> Rows:
    described = PostgresSource(conn_id="shop_db", **source)
    bounds = calendar.start(key), calendar.end(key)
    return read_postgres(described, database.connection, database.folder, *bounds, zone=calendar.zone)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_each_local_time_is_read_in_one_partition_and_none_is_lost(database: Database):
    # Every half hour that a clock can show on the two days, and one that it cannot.
    database.run(
        "CREATE TABLE t (at timestamp, n serial)",
        "INSERT INTO t (at) SELECT g FROM generate_series(timestamp '2024-03-31', '2024-04-01', '30 min') g",
        "INSERT INTO t (at) SELECT g FROM generate_series(timestamp '2024-10-27', '2024-10-28', '30 min') g",
    )
    table = {"table": "t", "time_column": "at"}
    for calendar, day in [(HOURLY, "2024-03-31"), (HOURLY, "2024-10-27"), (DAILY, "2024-03-31")]:
        keys = [day]
        if calendar is HOURLY:
            keys = list(calendar.between(f"{day}T00", f"{day}T23"))
        times, none = [], []
        for key in keys:
            rows = read(database, calendar, key, **table)
            found = rows.table().column("at").to_pylist()
            assert all(calendar.key_of(at) == key for at in found), key
            assert (len(found) == 2 or calendar is DAILY) != (key == "2024-10-27T02b"), key
            times += found
            none += rows.rejected
        assert len(times) + len(none) == 48, day
        assert len({*times}) == len(times)
        why = "column 'at': 2024-03-31 {} does not exist in {}, where the clocks went from 02:00 to 03:00"
        skipped = ["02:00:00", "02:30:00"] if day == "2024-03-31" else []
        assert [one.reason for one in none] == [why.format(time, "Europe/Berlin") for time in skipped]
        assert all(one.place.startswith("t, row ") for one in none)


def test_moments_are_moments_whatever_the_zone(database: Database):
    database.run(
        "CREATE TABLE t (at timestamptz, n int)",
        "INSERT INTO t VALUES ('2024-10-27 00:30+00', 1), ('2024-10-27 01:30+00', 2), "
        "('2024-10-26 21:59:59+00', 3), ('2024-10-27 22:59:59+00', 4), ('2024-10-27 23:00+00', 5)",
    )
    table = {"table": "t", "time_column": "at", "columns": ["n"]}
    for calendar, key, found in [
        (HOURLY, "2024-10-27T02", [1]),
        (HOURLY, "2024-10-27T02b", [2]),
        (DAILY, "2024-10-27", [1, 2, 4]),
    ]:
        assert read(database, calendar, key, **table).table().column("n").to_pylist() == found
    whole = read(database, HOURLY, "2024-10-27T02b", table="t", time_column="at").table()
    assert whole.column("at").to_pylist() == [utc(2024, 10, 27, 1, 30)]


def test_a_date_is_the_first_moment_of_the_local_day(database: Database):
    database.run("CREATE TABLE t (at date)", "INSERT INTO t VALUES ('2024-07-01'), ('2024-07-02')")
    for calendar, meant in [
        (DAILY, utc(2024, 6, 30, 22)),
        (Calendar(Grain.DAILY), utc(2024, 7, 1)),
        (Calendar(Grain.DAILY, "America/New_York"), utc(2024, 7, 1, 4)),
    ]:
        rows = read(database, calendar, "2024-07-01", table="t", time_column="at").table()
        assert rows.column("at").to_pylist() == [meant]


def test_sql_files_get_the_bounds_as_moments_and_as_local_times(database: Database):
    database.run(
        "CREATE TABLE t (at timestamp, moment timestamptz)",
        "INSERT INTO t VALUES ('2024-10-27 02:30', '2024-10-27 01:30+00')",
    )
    for key, where, found in [
        ("2024-10-27T02", "at >= $3 AND at < $4", 1),
        ("2024-10-27T02b", "at >= $3 AND at < $4", 0),
        ("2024-10-27T02", "moment >= $1 AND moment < $2", 0),
        ("2024-10-27T02b", "moment >= $1 AND moment < $2", 1),
    ]:
        (database.folder / "query.sql").write_text(f"SELECT * FROM t WHERE {where}")
        assert len(read(database, HOURLY, key, sql="query.sql").table()) == found, (key, where)
    # The session is in the zone too, so a day in SQL is a local day.
    (database.folder / "query.sql").write_text("SELECT moment::date AS day, $1::date AS first FROM t")
    (row,) = read(database, DAILY, "2024-10-27", sql="query.sql").table().to_pylist()
    assert {str(day) for day in row.values()} == {"2024-10-27"}


def test_a_column_of_a_declared_zone_is_held_against_the_partition_in_that_zone(database: Database):
    database.run(
        "CREATE TABLE t (at timestamp, n int)",
        "INSERT INTO t VALUES ('2024-01-01 04:29:59', 1), ('2024-01-01 04:30', 2), "
        "('2024-01-02 04:29:59', 3), ('2024-01-02 04:30', 4)",
    )
    # The day of Berlin begins at 23:00 UTC, which is 04:30 in Kolkata.
    (database.folder / "t.sql").write_text("SELECT * FROM t WHERE at >= $3 AND at < $4")
    types = {"at": "time in Asia/Kolkata"}
    for origin in ({"table": "t"}, {"sql": "t.sql"}):
        rows = read(database, DAILY, "2024-01-01", time_column="at", types=types, **origin).table()
        assert rows.column("n").to_pylist() == [2, 3], origin
        assert rows.column("at").to_pylist() == [utc(2023, 12, 31, 23), utc(2024, 1, 1, 22, 59, 59)], origin
