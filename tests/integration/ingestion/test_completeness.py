"""What a real PostgreSQL answers when it is asked whether a partition is complete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.ingestion.completeness import incomplete, missing
from evergreen.pipeline import Pipeline
from evergreen.spec import parse_spec
from evergreen.storage import Storage

SHOP = """
name: shop
description: Sales of a shop
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: {grain}
sources:
  sales:
    postgres: {{conn_id: shop_db, table: sales, time_column: at}}
    complete: {{sql: sql/loaded.sql}}
key: [at]
task: regression
target: sold
training: {{metric: mae, candidates: [{{estimator: sklearn.linear_model.Ridge}}]}}
"""
DAY = "2024-01-02"
LOADED = "SELECT finished IS NOT NULL FROM loads WHERE day = $1"

Ask = Callable[..., str | None]


@pytest.fixture
def run(postgres_server: Connection) -> Callable[[str], None]:
    """Runs a statement in the source's database, which has a table of loads."""
    server = postgres_server
    session = psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.login,
        password=server.password,
        dbname=server.schema,
        autocommit=True,
    )
    session.execute("CREATE TABLE loads (day date PRIMARY KEY, finished timestamptz)")
    return session.execute  # type: ignore[return-value]


@pytest.fixture
def pipeline(tmp_path: Path, postgres_server: Connection, storage: Storage) -> Callable[..., Pipeline]:
    """Opens the pipeline `shop` with a query."""

    def open_with(query: str, connection: Connection = postgres_server, grain: str = "daily") -> Pipeline:
        folder = tmp_path / "shop"
        (folder / "sql").mkdir(parents=True, exist_ok=True)
        (folder / "sql" / "loaded.sql").write_text(query)
        (folder / "pipeline.yaml").write_text(SHOP.format(grain=grain))
        spec = parse_spec(folder / "pipeline.yaml")
        return Pipeline(spec, storage, {"shop_db": replace(connection, conn_id="shop_db")}.__getitem__)

    return open_with


def test_a_partition_is_complete_when_the_query_says_so(
    run: Callable[[str], None], pipeline: Callable[..., Pipeline]
) -> None:
    shop = pipeline(LOADED)
    assert incomplete(shop, "sales", DAY) == (
        "source 'sales' is not complete: sql/loaded.sql answered no row"
    )
    run(f"INSERT INTO loads VALUES ('{DAY}', NULL)")
    assert incomplete(shop, "sales", DAY) == "source 'sales' is not complete: sql/loaded.sql answered false"
    run("UPDATE loads SET finished = now()")
    assert incomplete(shop, "sales", DAY) is None
    found = missing(shop, "sales", ["2024-01-01", DAY, "2024-01-03"])
    assert found is not None
    assert found.partitions == ("2024-01-01", "2024-01-03")


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("SELECT $1 = timestamptz '2024-01-02 00:00Z' AND $2 = timestamptz '2024-01-03 00:00Z'", None),
        ("SELECT $2 > $1", None),
        ("SELECT /* not $3 */ '$1' <> '$2' -- and not $2\n", None),
        ("(SELECT $1 < $2);", None),
        ("SELECT date_trunc('day', $2::timestamp) = timestamp '2024-01-03'", None),
        ("SELECT true, 'and another column'", None),
        ("SELECT * FROM (VALUES (true), (false)) AS answers", None),
        ("SELECT count(*) > 0 FROM loads WHERE day >= $1 AND day < $2", "false"),
        ("SELECT NULL::boolean", "null"),
        ("SELECT true WHERE false", "no row"),
    ],
)
def test_the_bounds_are_bound_as_far_as_the_query_names_them(
    run: Callable[[str], None], pipeline: Callable[..., Pipeline], query: str, answer: str | None
) -> None:
    line = incomplete(pipeline(query), "sales", DAY)
    assert line == (answer and f"source 'sales' is not complete: sql/loaded.sql answered {answer}")


def test_a_snapshot_has_no_bounds(run: Callable[[str], None], pipeline: Callable[..., Pipeline]) -> None:
    shop = pipeline("SELECT count(*) = 0 FROM loads", grain="snapshot")
    assert incomplete(shop, "sales", "snapshot") is None


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT 1", "sql/loaded.sql answered 1, neither true nor false: fix the query"),
        ("SELECT 'true'", "sql/loaded.sql answered 'true', neither true nor false: fix the query"),
        ("SELECT true FROM loads,", "syntax error"),
        ("SELECT true -- $1; DELETE FROM loads\n WHERE $1 > $2 AND", "syntax error"),
        ("SELECT finished FROM lods", 'relation "lods" does not exist'),
        ("SELEC true", "sql file 'sql/loaded.sql' begins with SELEC"),
        ("DELETE FROM loads RETURNING true", "read-only transaction"),
        ("WITH d AS (DELETE FROM loads RETURNING true) SELECT * FROM d", "read-only transaction"),
        ("\n", "sql file 'sql/loaded.sql' begins with nothing"),
    ],
)
def test_a_query_that_cannot_answer_is_an_error_in_one_line(
    run: Callable[[str], None], pipeline: Callable[..., Pipeline], query: str, says: str
) -> None:
    run(f"INSERT INTO loads VALUES ('{DAY}', now())")
    with pytest.raises(SourceError) as refusal:
        incomplete(pipeline(query), "sales", DAY)
    message = str(refusal.value)
    assert message.startswith("shop 2024-01-02: source 'sales': ")
    assert says in message
    assert "\n" not in message


def test_a_server_that_does_not_answer_may_be_asked_later(
    postgres_server: Connection, pipeline: Callable[..., Pipeline], free_port: int
) -> None:
    shop = pipeline("SELECT true", replace(postgres_server, port=free_port))
    with pytest.raises(UnavailableError, match=r"^shop 2024-01-02: source 'sales': connection 'shop_db'"):
        incomplete(shop, "sales", DAY)


def test_a_wrong_password_is_not_asked_again_and_not_told(
    postgres_server: Connection, pipeline: Callable[..., Pipeline]
) -> None:
    shop = pipeline("SELECT true", replace(postgres_server, password="wrong-word"))
    with pytest.raises(SourceError, match="check its login") as refusal:
        incomplete(shop, "sales", DAY)
    assert "wrong-word" not in str(refusal.value)


def test_a_trigger_fires_when_the_query_says_so(
    run: Callable[[str], None],
    pipeline: Callable[..., Pipeline],
    postgres_server: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    from evergreen_airflow.triggers import SourceCompleteTrigger

    shop = pipeline(LOADED)
    server = postgres_server
    address = f"{server.login}:{quote(server.password or '')}@{server.host}:{server.port}/{server.schema}"
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", f"postgres://{address}")
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    monkeypatch.setenv("EVERGREEN_STORAGE", shop.storage.uri())
    until = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    trigger = SourceCompleteTrigger("shop", "sales", [DAY], 0.05, until)

    async def fired() -> bool:
        firing = asyncio.ensure_future(anext(trigger.run()))
        early, _ = await asyncio.wait([firing], timeout=0.5)
        await asyncio.to_thread(run, f"INSERT INTO loads VALUES ('{DAY}', now())")
        await asyncio.wait_for(firing, 30)
        return not early

    assert asyncio.run(fired())
