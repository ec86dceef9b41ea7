"""The source of a draft: databases that are files."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from evergreen.databases.local_file import type_of_file
from evergreen.draft.source import look_for_draft
from evergreen.errors import SourceError
from evergreen.look import look_at


@pytest.fixture
def database(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "shop.db") as shop:
        shop.execute('CREATE TABLE "Orders" ("OrderId" INTEGER, "Price" REAL)')
        shop.executemany('INSERT INTO "Orders" VALUES (?, ?)', [(n, n / 2) for n in range(1, 31)])
    return str(tmp_path / "shop.db")


def test_a_file_that_is_a_database_is_read_by_a_connection_to_be_defined(database: str) -> None:
    named = look_for_draft("orders", database, "Orders")
    assert named.look.config == {"conn_id": "orders_db", "table": "Orders"}
    assert [one.name for one in named.look.columns] == ["OrderId", "Price"]
    assert named.to_define == f'AIRFLOW_CONN_ORDERS_DB=\'{{"conn_type": "sqlite", "host": "{database}"}}\''
    assert look_for_draft("orders", database, "Orders", "shop").to_define is None
    assert look_at(database, "Orders").config["conn_id"] == "shop_db"


def test_a_file_is_known_by_its_first_bytes(tmp_path: Path, database: str) -> None:
    (tmp_path / "shop.duckdb").write_bytes(bytes(8) + b"DUCK" + bytes(8))
    (tmp_path / "text.db").write_text("SQLite is no header")
    names = [database, *(str(tmp_path / name) for name in ("shop.duckdb", "text.db", "gone.db", ""))]
    assert [type_of_file(name) for name in names] == ["sqlite", "duckdb", None, None, None]


def test_without_a_table_it_says_which_there_are(database: str) -> None:
    with pytest.raises(SourceError, match=r"is a database \(sqlite\): name a table too \(there: Orders\)"):
        look_for_draft("orders", database)
