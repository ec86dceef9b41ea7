"""MariaDB as a source: its catalogue, its SQL, one state of it, and what its errors mean."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evergreen.connections import Connection
from evergreen.databases.registry import session
from evergreen.errors import SourceError, UnavailableError
from evergreen.rows.batches import Rows
from evergreen.sources.sql.description import SqlSource
from evergreen.sources.sql.read import read_sql
from tests import mariadb

DAY = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))


@pytest.fixture
def shop(mariadb_server: Connection) -> Connection:
    mariadb.run(
        mariadb_server,
        "CREATE TABLE sales (sold DATETIME(6), told TIMESTAMP(6) NULL, day DATE, n INT, name TEXT)",
        "INSERT INTO sales SELECT '2023-12-31 23:59:59.999999' + INTERVAL seq SECOND, "
        "'2023-12-31 23:59:59.999999' + INTERVAL seq SECOND, '2024-01-01', seq, 'a%s:b' FROM seq_0_to_20000",
        "CREATE VIEW shown AS SELECT n, name FROM sales WHERE n < 3",
    )
    return mariadb_server


def read(connection: Connection, folder: Path, bounds: Any = DAY, query: str = "", **source: Any) -> Rows:
    if query:
        (folder / "q.sql").write_text(query)
        source["sql"] = "q.sql"
    described = SqlSource.model_validate({"conn_id": "shop_db", **source})
    return read_sql(described, connection, folder, *bounds)


def test_tables_views_and_queries_are_read(shop: Connection, tmp_path: Path):
    for column, first in (("sold", 1), ("told", 1), ("day", 0)):
        found = read(shop, tmp_path, table="sales", time_column=column, columns=["n"]).table()
        assert found.column("n").to_pylist() == list(range(first, 20001)), column
    whole = (None, None)
    assert read(shop, tmp_path, whole, table=f"{shop.schema}.shown").table().num_rows == 3
    query = (
        "SELECT n, name FROM `sales` # $1 ;\n"
        "WHERE told >= $start AND told < '2024-01-01 00:00:01' AND name LIKE 'a%' AND name <> 'it\\'s $2'"
    )
    assert read(shop, tmp_path, query=query).table().to_pylist() == [{"n": 1, "name": "a%s:b"}]
    empty = read(shop, tmp_path, whole, query="SELECT * FROM sales WHERE n < 0").table()
    assert empty.schema == read(shop, tmp_path, whole, table="sales").table().schema


def test_what_is_wrong_is_told_in_one_line(shop: Connection, tmp_path: Path):
    for source, says in (
        ({"table": "sale"}, r"no table 'sale' \(nearest: sales\)"),
        (
            {"table": "sales", "columns": ["m", "nn"]},
            r"no column 'm' \(there: sold, told, day, n, name\)",
        ),
        ({"table": "sales", "time_column": "name"}, r"is of type TEXT: name one that holds times"),
        ({"query": "SELECT nope FROM sales"}, r"Unknown column 'nope'.*: fix the statement"),
        ({"query": "WITH a AS (SELECT 1) DELETE FROM sales"}, r"error in your SQL syntax"),
    ):
        with pytest.raises(SourceError, match=says) as told:
            read(shop, tmp_path, **source).table()
        assert "\n" not in str(told.value)
    for wrong, error, says in (
        (replace(shop, password="hidden word"), SourceError, "check its login, password and database"),
        (replace(shop, schema="nowhere"), SourceError, "Unknown database 'nowhere'"),
        (replace(shop, port=1), UnavailableError, "check that the database can be reached"),
    ):
        with pytest.raises(error, match=says) as refused:
            read(wrong, tmp_path, table="sales")
        assert "hidden word" not in str(refused.value)


def test_a_statement_is_ended_at_its_timeout(shop: Connection, tmp_path: Path):
    endless = "SELECT count(*) AS c FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE (a.seq * b.seq) % 7 = 3"
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="raise the source's timeout"):
        read(shop, tmp_path, query=endless, timeout="1 seconds").table()
    assert time.monotonic() - began < 30


def test_it_sees_one_state_and_writes_nothing(shop: Connection, tmp_path: Path):
    rows = read(shop, tmp_path, (None, None), table="sales")
    batches = iter(rows)
    first = next(batches)
    mariadb.run(shop, "DELETE FROM sales")
    assert first.num_rows + sum(batch.num_rows for batch in batches) == 20001
    with pytest.raises(SourceError, match="READ ONLY"), session(shop) as opened:
        opened.fetch("INSERT INTO sales (n) VALUES (1)")


def test_a_connection_that_is_cut_on_the_way_may_be_tried_again(shop: Connection, tmp_path: Path):
    wide = "SELECT n, repeat('x', 5000) AS x FROM sales"
    rows = read(shop, tmp_path, (None, None), query=wide)
    batches = iter(rows)
    next(batches)
    reading = (
        "SELECT id FROM information_schema.processlist "
        "WHERE db = DATABASE() AND info LIKE '%repeat(%' AND id <> CONNECTION_ID()"
    )
    for (number,) in mariadb.run(shop, reading):
        mariadb.run(shop, f"KILL {number}")
    with pytest.raises(UnavailableError, match="then run again"):
        list(batches)


def test_an_abandoned_read_ends_its_session(shop: Connection, tmp_path: Path):
    rows = read(shop, tmp_path, (None, None), table="sales")
    next(iter(rows))
    rows.close()
    count = "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE()"
    for _ in range(100):
        if mariadb.run(shop, count) == [(1,)]:
            return
        time.sleep(0.05)
    pytest.fail("the session is still there")
