"""SQLite, where each value may have a type of its own."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from evergreen.databases import sqlite
from evergreen.errors import SourceError
from tests.unit.sources.sql.databases import DAY, Embedded


@pytest.fixture
def shop(tmp_path: Path) -> Embedded:
    return Embedded("sqlite", tmp_path)


def test_times_are_read_as_text_seconds_since_1970_and_julian_days(shop: Embedded):
    shop.run(
        "CREATE TABLE t (sold DATETIME, n INTEGER)",
        "INSERT INTO t VALUES ('2024-01-01 05:00:00', 1), ('2024-01-01T06:00:00.5+02:00', 2), "
        "(unixepoch('2024-01-01 07:00'), 3), (julianday('2024-01-01 18:00'), 4), "
        "(unixepoch('2024-01-02 00:00'), 5), (julianday('2023-12-31 23:00'), 6), "
        "('2024-01-01T01:00+02:00', 7), ('2024-01-01', 8)",
    )
    rows = shop.rows(DAY, table="t", time_column="sold")
    hours = {row["n"]: (row["sold"] - DAY[0]).total_seconds() / 3600 for row in rows}
    assert hours == {1: 5, 2: pytest.approx(4 + 0.5 / 3600), 3: 7, 4: 18, 8: 0}


def test_an_integer_or_a_text_without_a_declared_type_may_be_the_time(shop: Embedded):
    shop.run(
        "CREATE TABLE t (seconds INTEGER, said TEXT)",
        "INSERT INTO t VALUES (1704067200, '2024-01-01T12:00:00Z'), (1704153600, '2024-01-02T00:00:00Z')",
    )
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert shop.rows(DAY, table="t", time_column="seconds") == [
        {"seconds": DAY[0], "said": "2024-01-01T12:00:00Z"}
    ]
    assert shop.rows(DAY, table="t", time_column="said") == [{"seconds": 1704067200, "said": noon}]


WRONG = (
    ("n INTEGER", "'six'", "column 'n' of type INTEGER holds text 'six'"),
    ("n INTEGER", "1.5", "column 'n' of type INTEGER holds real 1.5"),
    ("n REAL", "'1,5'", "column 'n' of type REAL holds text '1,5'"),
    ("n TEXT", "x'ff'", "column 'n': Invalid UTF8"),
    ("n BOOLEAN", "2", "column 'n': a number other than 0 and 1"),
    ("n BOOLEAN", "'yes'", "column 'n' of type BOOLEAN holds text 'yes'"),
    ("n DECIMAL(5, 2)", "'1.5 EUR'", "column 'n' of type DECIMAL(5, 2) holds text '1.5 EUR'"),
    ("n DATE", "'01/02/2024'", "column 'n': '01/02/2024' is no date"),
    ("n DATETIME", "'soon'", "column 'n': 'soon' is no time"),
    ("n DATETIME", "99999999999999", "column 'n'"),
    ("n BLOB", "CAST(x'ff' AS TEXT)", "column 'n': Invalid UTF8"),
    ("n TEXT", "CAST(x'ff' AS TEXT)", "column 'n': Invalid UTF8"),
)


@pytest.mark.parametrize("early", [True, False])
def test_a_row_with_a_value_of_another_type_is_rejected_wherever_it_stands(
    shop: Embedded, early: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sqlite, "_BATCH_ROWS", 3)
    for number, (column, value, reason) in enumerate(WRONG):
        name = f"t{number}"
        shop.run(f"CREATE TABLE {name} (id INTEGER, {column})")
        shop.run(*(f"INSERT INTO {name} VALUES ({at}, NULL)" for at in range(0 if early else 9)))
        shop.run(f"INSERT INTO {name} VALUES (9, {value})")
        shop.run(*(f"INSERT INTO {name} VALUES ({at}, NULL)" for at in range(10, 20)))
        found = shop.read(table=name)
        ids = found.table().column("id").to_pylist()
        assert ids == [*range(0 if early else 9), *range(10, 20)], column
        assert len(found.rejected) == 1, column
        assert found.rejected[0].reason.startswith(reason), found.rejected
        assert '"id":9' in found.rejected[0].text.replace(" ", "")


def test_a_row_whose_time_is_none_is_rejected_and_not_left_out(shop: Embedded):
    shop.run(
        "CREATE TABLE t (sold TEXT, n INTEGER)",
        "INSERT INTO t VALUES ('2024-01-01 05:00:00', 1), ('01/02/2024', 2), (17, 3), (x'00', 4), (NULL, 5)",
    )
    found = shop.read(DAY, table="t", time_column="sold")
    assert found.table().column("n").to_pylist() == [1]
    assert len(found.rejected) == 3


def test_a_column_of_blobs_may_hold_anything(shop: Embedded):
    shop.run("CREATE TABLE t (b BLOB)", "INSERT INTO t VALUES (x'00ff'), (1), (1.5), ('x'), (NULL)")
    values = [r"\x00ff", "1", "1.5", "x", None]
    assert [row["b"] for row in shop.rows(table="t")] == values
    assert [row["b"] for row in shop.rows(table="t", types={"b": "text"})] == values


def test_exact_numbers(shop: Embedded):
    shop.run(
        "CREATE TABLE t (price DECIMAL(12, 2), big NUMERIC, n INTEGER)",
        "INSERT INTO t VALUES (0.1, 9007199254740993, 9223372036854775807)",
    )
    assert shop.rows(table="t", types={"price": "decimal(12, 2)", "big": "int"}) == [
        {"price": Decimal("0.10"), "big": 2**53 + 1, "n": 2**63 - 1}
    ]
    shop.run("INSERT INTO t VALUES (0.1 + 0.2, 1, 1)")
    found = shop.read(table="t", types={"price": "decimal(12, 2)"})
    assert found.table().num_rows == 1
    assert found.rejected[0].reason.startswith("column 'price': '0.30000000000000004' is no decimal(12, 2)")


def test_a_column_of_a_query_needs_a_type(shop: Embedded):
    shop.run("CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1), (2)")
    with pytest.raises(SourceError, match=r"column 'c' has no type in SQLite: declare it .* CAST"):
        shop.rows(query="SELECT count(*) AS c FROM t")
    assert shop.rows(query="SELECT CAST(count(*) AS INTEGER) AS c FROM t") == [{"c": 2}]
    assert shop.rows(query="SELECT count(*) AS c FROM t", types={"c": "int"}) == [{"c": 2}]


def test_an_empty_table_has_the_types_of_a_full_one(shop: Embedded):
    shop.run("CREATE TABLE t (a INTEGER, b REAL, c TEXT, d DATE, e DATETIME, f BOOLEAN)")
    empty = shop.read(table="t").table().schema
    shop.run("INSERT INTO t VALUES (1, 2.5, 'x', '2024-01-01', '2024-01-01 05:00:00', 1)")
    full = shop.read(table="t").table()
    assert empty == full.schema
    assert full.to_pylist()[0]["d"] == date(2024, 1, 1)


def test_a_file_whose_writer_was_killed_is_read_as_it_was_before(shop: Embedded):
    shop.run("CREATE TABLE t (n INTEGER, x TEXT)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    # Spilled to the file before its end, and never ended.
    killed = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN'); c.execute('DELETE FROM t'); "
        'c.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) '
        'INSERT INTO t SELECT i, hex(randomblob(20)) FROM n"); os._exit(9)'
    )
    ended = subprocess.run([sys.executable, "-c", killed, str(shop.connection.host)], check=False)
    assert ended.returncode == 9
    assert Path(f"{shop.connection.host}-journal").stat().st_size > 0
    assert [row["n"] for row in shop.rows(table="t")] == [1, 2]


def test_a_file_that_may_not_be_written_is_read(shop: Embedded):
    shop.run("CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1)")
    Path(str(shop.connection.host)).chmod(0o444)
    assert shop.rows(table="t") == [{"n": 1}]
    assert shop.rows(query="SELECT n FROM t") == [{"n": 1}]
