"""Values of `for_each` that a query gives."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from evergreen.calendar import Calendar, Grain
from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.sources.http import HTTP
from evergreen.sources.kind import Wanted
from tests.http_peers import Peer, Said, serving
from tests.unit.sources.http.shop import DAY, source


def wanted(folder: Path, peer: Peer, sql: str) -> Wanted:
    (folder / "stores.sql").write_text(sql)
    connections = {
        "shop_api": Connection("shop_api", "http", peer.address()),
        "shop_db": Connection("shop_db", "sqlite", str(folder / "shop.db")),
    }
    return Wanted(DAY, Calendar(Grain.DAILY), folder, None, connections.__getitem__)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE stores (id INTEGER, name TEXT, size REAL, opened TEXT)")
        rows = [
            (7, "south", 1.5, "2023-01-01"),
            (2, "north", 2.5, "2020-05-05"),
            (5, None, 1.0, "2025-01-01"),
        ]
        database.executemany("INSERT INTO stores VALUES (?, ?, ?, ?)", rows)
    return tmp_path


def stores(peer: Peer, folder: Path, sql: str) -> list[Any]:
    described = source(for_each={"store": {"conn_id": "shop_db", "sql": "stores.sql"}}, paging={})
    rows = HTTP.read(described, wanted(folder, peer, sql))
    return rows.table().to_pylist()


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serving(lambda asked: Said(body=b'{"data": [{"n": 1}]}')) as peer:
        yield peer


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT id, name FROM stores ORDER BY id DESC", [7.0, 5.0, 2.0]),
        ("SELECT name FROM stores WHERE id <> 5 ORDER BY name", ["north", "south"]),
        ("SELECT id FROM stores WHERE opened < $end ORDER BY id", [2.0, 7.0]),
        ("SELECT id FROM stores WHERE id < 0", []),
    ],
)
def test_the_first_column_has_the_values(peer: Peer, folder: Path, sql: str, found: Sequence[Any]) -> None:
    assert stores(peer, folder, sql) == [{"n": 1.0, "store": value} for value in found]
    assert len(peer.asked) == len(found)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT size FROM stores", "for_each.store: stores.sql: .*'size' is of type double: cast it"),
        ("SELECT name FROM stores", "its first column 'name' has a null"),
        (
            "SELECT CAST(1 AS INTEGER) AS id FROM stores",
            "'1' is there 3 times: leave the others out",
        ),
        ("SELECT id FROM shops", "for_each.store: .*shops"),
    ],
)
def test_values_that_are_none_are_told(peer: Peer, folder: Path, sql: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        stores(peer, folder, sql)
    assert not peer.asked
