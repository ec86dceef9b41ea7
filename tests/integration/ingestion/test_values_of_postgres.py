"""Values of `for_each` that a query of a real PostgreSQL gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evergreen.calendar import Calendar, Grain
from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.sources.http import HTTP
from evergreen.sources.http.description import HttpSource
from evergreen.sources.kind import Wanted
from tests.http_peers import Peer, Said, serving
from tests.integration.ingestion.database import Database

Read = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def database(postgres_server: Connection, tmp_path: Path) -> Database:
    found = Database(replace(postgres_server, conn_id="shop_db"), tmp_path)
    found.run(
        "CREATE TYPE kind AS ENUM ('street', 'mall')",
        "CREATE TABLE stores (id bigint, name varchar, code char(4), kind kind, area numeric, "
        "opened timestamptz, closed timestamp)",
        "INSERT INTO stores VALUES "
        "(9007199254740993, 'süd/1', '07', 'mall', 1.5, '2023-12-31 23:59Z', null), "
        "(-2, 'north', '0012', 'street', 2, '2024-01-01 00:00Z', '2024-01-01 00:30')",
    )
    return found


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serving(lambda asked: Said(body=b'{"data": [{"n": 1}]}')) as peer:
        yield peer


@pytest.fixture
def read(database: Database, peer: Peer) -> Read:
    """The rows of an API that is asked for each value of a query, in a partition of Berlin's time."""

    def read(sql: str, connection: Connection | None = None, **types: str) -> list[dict[str, Any]]:
        (database.folder / "stores.sql").write_text(sql)
        connections = {
            "shop_api": Connection("shop_api", "http", peer.address()),
            "shop_db": connection or database.connection,
        }
        described = HttpSource.model_validate(
            {
                "conn_id": "shop_api",
                "path": "/stores/{store}",
                "for_each": {"store": {"conn_id": "shop_db", "sql": "stores.sql"}},
                "types": types,
            }
        )
        calendar = Calendar(Grain.DAILY, "Europe/Berlin")
        storage: Any = None
        wanted = Wanted("2024-01-01", calendar, database.folder, storage, connections.__getitem__)
        return HTTP.read(described, wanted).table().to_pylist()

    return read


@pytest.mark.parametrize(
    ("sql", "type_name", "asked", "values"),
    [
        ("SELECT id FROM stores ORDER BY id", "int", ["-2", "9007199254740993"], [-2, 2**53 + 1]),
        ("SELECT id::int FROM stores WHERE id < 0", "float", ["-2"], [-2.0]),
        ("SELECT name FROM stores ORDER BY name", "text", ["north", "s%C3%BCd%2F1"], ["north", "süd/1"]),
        ("SELECT code FROM stores ORDER BY code", "text", ["0012", "07"], ["0012", "07"]),
        ("SELECT kind, 1 FROM stores ORDER BY kind", "text", ["street", "mall"], ["street", "mall"]),
        ("SELECT name FROM stores WHERE opened < $1", "text", [], []),
        ("SELECT code FROM stores WHERE opened >= $start AND opened < $2 ORDER BY 1", "text", ["0012", "07"],
         ["0012", "07"]),
        ("SELECT code FROM stores WHERE closed < $local_end", "text", ["0012"], ["0012"]),
        ("SELECT area::bigint FROM stores WHERE area = 2", "int", ["2"], [2]),
    ],
)  # fmt: skip
def test_each_value_is_asked_for(
    read: Read, peer: Peer, sql: str, type_name: str, asked: list[str], values: list[Any]
) -> None:
    assert read(sql, store=type_name) == [{"n": 1.0, "store": value} for value in values]
    assert [one.path for one in peer.asked] == [f"/stores/{value}" for value in asked]


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT area FROM stores", "its first column 'area' is of type double: cast it to text"),
        ("SELECT opened FROM stores", r"column 'opened' is of type timestamp\[us, tz=UTC\]: cast it"),
        ("SELECT NULLIF(name, 'north') FROM stores", "its first column 'nullif' has a null: leave such rows"),
        ("SELECT 'a' FROM stores", r"the value 'a' is there 2 times: leave the others out"),
        ("SELECT n FROM generate_series(1, 10001) AS n", "there are 10,001 values, and at most 10,000"),
        ("DELETE FROM stores", "begins with DELETE, and a read-only transaction runs"),
        ("WITH gone AS (DELETE FROM stores RETURNING id) SELECT id FROM gone", "data-modifying statement"),
        ("SELECT nme FROM stores", 'column "nme" does not exist'),
    ],
)  # fmt: skip
def test_what_are_no_values_is_told_before_the_api_is_asked(
    read: Read, database: Database, peer: Peer, sql: str, says: str
) -> None:
    with pytest.raises(SourceError, match=f"^for_each.store: .*{says}") as told:
        read(sql)
    assert "\n" not in str(told.value)
    assert not peer.asked
    with database.session() as session:
        assert session.execute("SELECT count(*) FROM stores").fetchone() == (2,)


def test_a_key_that_float64_does_not_hold_must_be_declared(read: Read) -> None:
    with pytest.raises(SourceError, match=r"'store' holds a whole number beyond 2\*\*53: .* declare"):
        read("SELECT id FROM stores")


def test_a_server_that_is_away_may_be_tried_again(read: Read, database: Database, peer: Peer) -> None:
    away = replace(database.connection, port=1)
    with pytest.raises(UnavailableError, match=r"^for_each.store: connection 'shop_db'"):
        read("SELECT id FROM stores", away)
    assert not peer.asked
