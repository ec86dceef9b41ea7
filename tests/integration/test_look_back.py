"""What online requests look back to, in a real PostgreSQL: kept up with the lake whatever dies in between."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evergreen import cli
from evergreen.connections import Connection
from evergreen.errors import NothingToDoError, SourceError
from evergreen.ingestion import stage
from evergreen.interpreter import NoAnswerError, run_clean
from evergreen.lake import Table
from evergreen.look_back import keep, store
from evergreen.look_back.keep import keep_look_back, keep_look_back_or_warn
from evergreen.pipeline import Pipeline
from evergreen.rows.batches import Rows
from evergreen.serving.look_back import LookBack
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from tests.integration.connected import connected
from tests.unit.serving.test_look_back import day, publish, rows

ROOT = Path(__file__).resolve().parents[2]
KIOSK = ROOT / "tests" / "pipelines" / "kiosk"
Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def pipelines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the kiosk alone, whose look-back is kept in a database."""
    folder = tmp_path / "pipelines" / "kiosk"
    shutil.copytree(KIOSK, folder)
    with (folder / "pipeline.yaml").open("a") as file:
        file.write("serving: {look_back: {conn_id: serving_db}}\n")
    (folder / "expectations.yaml").write_text("- expect_column_to_exist: {column: sold}\n")
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(folder.parent))
    return folder.parent


@pytest.fixture
def kiosk(storage: Storage, postgres_server: Connection, pipelines: Path) -> Pipeline:
    return Pipeline.open("kiosk", lambda conn_id: replace(postgres_server, conn_id=conn_id), storage)


@pytest.fixture
def query(postgres_server: Connection) -> Query:
    def run(text: str) -> list[tuple[Any, ...]]:
        with connected(postgres_server) as session:
            cursor = session.execute(text)
            return cursor.fetchall() if cursor.description else []

    return run


def kept(query: Query) -> dict[str, str]:
    """The partitions in the table, with their digests."""
    return dict(query("SELECT partition, digest FROM evergreen_look_back WHERE pipeline = 'kiosk'"))


def in_the_lake(pipeline: Pipeline, *days: int) -> dict[str, str]:
    files = pipeline.lake.files(Table.PARTITIONS)
    return {day(one): files[day(one)].partition("/")[2].removesuffix(".parquet") for one in days}


def lose_files(pipeline: Pipeline) -> None:
    """Whatever is read from now on does not come from the lake's files."""
    files = pipeline.storage.look("kiosk/lake/partitions/partition=")
    pipeline.storage.delete([file.key for file in files])


def test_the_table_has_what_the_next_partition_looks_back_to(kiosk: Pipeline, query: Query) -> None:
    publish(kiosk, {number: rows(number) for number in range(1, 6)})
    change = keep_look_back(kiosk)
    assert (change.written, change.removed, change.kept) == ((day(5), day(4), day(3)), (), 3)
    assert kept(query) == in_the_lake(kiosk, 3, 4, 5)
    assert keep_look_back(kiosk) == keep.Change(kept=3)
    publish(kiosk, {4: rows(4, state=1), 6: rows(6), 5: rows(5, count=0)})
    change = keep_look_back(kiosk)
    assert (change.written, change.removed, change.kept) == ((day(6), day(4)), (day(3), day(5)), 2)
    assert kept(query) == in_the_lake(kiosk, 4, 6)
    query(
        "INSERT INTO evergreen_look_back SELECT 'other', partition, digest, content FROM evergreen_look_back"
    )
    publish(kiosk, {number: rows(number, count=0) for number in range(1, 7)})
    assert keep_look_back(kiosk).kept == 0
    assert query("SELECT DISTINCT pipeline FROM evergreen_look_back") == [("other",)]


def test_a_server_reads_from_the_table_what_the_lake_says_is_right(kiosk: Pipeline, query: Query) -> None:
    publish(kiosk, {number: rows(number) for number in range(1, 5)})
    keep_look_back(kiosk)
    there = kiosk.lake.read(Table.PARTITIONS, day(2), day(4))
    lose_files(kiosk)
    found = LookBack(kiosk).before(day(5))
    assert found is not None
    assert found.rows.schema == there.schema
    assert found.rows.equals(there)


SPOILT = (
    "UPDATE evergreen_look_back SET digest = repeat('0', 64)",
    "UPDATE evergreen_look_back SET content = '\\x00'",
    # Rows of another day, under the digest of this one.
    "UPDATE evergreen_look_back SET content = (SELECT content FROM evergreen_look_back "
    "WHERE partition = '2024-01-02')",
    "DELETE FROM evergreen_look_back",
    "DROP TABLE evergreen_look_back",
    "ALTER TABLE evergreen_look_back RENAME content TO other",
)


def test_no_blob_is_used_that_is_not_the_lake_s(
    kiosk: Pipeline, query: Query, tell: Callable[[str], None]
) -> None:
    publish(kiosk, {number: rows(number) for number in range(1, 4)})
    there = kiosk.lake.read(Table.PARTITIONS, day(1), day(3))
    for spoil in SPOILT:
        assert keep_look_back(kiosk, check=True).kept == 3
        assert keep_look_back(kiosk, check=True).written == ()
        query(spoil)
        found = LookBack(kiosk).before(day(4))
        assert found is not None
        assert found.rows.equals(there), spoil
    tell(f"{len(SPOILT)} ways to spoil the look-back in the database")


def test_every_publication_keeps_it_up_and_goes_on_without_the_database(
    kiosk: Pipeline, query: Query, free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    stage.publish_rows(kiosk, [day(1)], lambda key: Rows.of(rows(1)))
    assert kept(query) == in_the_lake(kiosk, 1)
    away = replace(kiosk, connect=lambda conn_id: replace(kiosk.connect(conn_id), port=free_port))
    published = stage.publish_rows(away, [day(2)], lambda key: Rows.of(rows(2)))
    assert [one.partition for one in published] == [day(2)]
    assert "kiosk: the look-back of online requests is not kept up" in caplog.text
    assert "evergreen look-back kiosk" in caplog.text
    assert "not a secret" not in caplog.text
    found = LookBack(away).before(day(3))
    assert found is not None
    assert len(found.rows) == 8
    stage.publish_rows(kiosk, [day(1)], lambda key: Rows.of(rows(1)))
    assert kept(query) == in_the_lake(kiosk, 1, 2)


def test_only_postgresql_is_written_to(kiosk: Pipeline) -> None:
    other = replace(kiosk, connect=lambda conn_id: Connection(conn_id, "mysql"))
    with pytest.raises(SourceError, match="'serving_db' is of type mysql: name one of type postgres"):
        keep_look_back(other)
    plain = kiosk.described_by(parse_spec(KIOSK / "pipeline.yaml"))
    with pytest.raises(NothingToDoError, match=r"name one in serving\.look_back\.conn_id"):
        keep_look_back(plain)


def test_the_command_fills_history_and_forget_empties_it(
    kiosk: Pipeline, configured: Storage, monkeypatch: pytest.MonkeyPatch, query: Query
) -> None:
    for name, value in variables(kiosk).items():
        monkeypatch.setenv(name, value)
    publish(kiosk, {1: rows(1), 2: rows(2)})
    answer = CliRunner().invoke(cli.app, ["look-back", "kiosk", "--json"])
    assert json.loads(answer.stdout) == {
        "pipeline": "kiosk",
        "written": [day(2), day(1)],
        "removed": [],
        "kept": 2,
    }
    assert CliRunner().invoke(cli.app, ["forget", "kiosk", "--yes"]).exit_code == 0
    assert kept(query) == {}
    assert configured.list("kiosk/") == []


def variables(pipeline: Pipeline) -> dict[str, str]:
    """The connection as a shell has it."""
    server = pipeline.connect("serving_db")
    fields = ("conn_type", "host", "port", "login", "password", "schema")
    return {"AIRFLOW_CONN_SERVING_DB": json.dumps({name: getattr(server, name) for name in fields})}


def killed(at: str) -> None:
    """Replaces the third day and adds the fourth, and is killed: before, in or after the transaction."""

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    write, kept_up = store.Store.write, keep._kept_up

    def one_alone(self: store.Store, partition: str, one: store.Kept) -> None:
        write(self, partition, one)
        die()

    def then_die(*given: Any) -> keep.Change:
        kept_up(*given)
        die()
        raise AssertionError

    pipeline = Pipeline.open("kiosk")
    publish(pipeline, {3: rows(3, state=1), 4: rows(4, state=1)})
    if at == "after the lake":
        die()
    elif at == "in the transaction":
        store.Store.write = one_alone  # type: ignore[method-assign]
    else:
        keep._kept_up = then_die
    keep_look_back_or_warn(pipeline)


@pytest.mark.parametrize("at", ["after the lake", "in the transaction", "after the transaction"])
def test_what_a_killed_publication_left_is_caught_up(
    kiosk: Pipeline, configured: Storage, query: Query, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    publish(kiosk, {number: rows(number) for number in range(1, 4)})
    keep_look_back(kiosk)
    before = in_the_lake(kiosk, 1, 2, 3)
    with pytest.raises(NoAnswerError, match="code -9"):
        run_clean(killed, at, environment={**os.environ, **variables(kiosk)})
    # The lake has the new rows, and the table all of the state before or all of the one after.
    after = in_the_lake(kiosk, 2, 3, 4)
    assert after[day(3)] != before[day(3)]
    assert kept(query) == (after if at == "after the transaction" else before)
    found = LookBack(kiosk).before(day(5))
    assert found is not None
    assert found.rows.equals(kiosk.lake.read(Table.PARTITIONS, day(2), day(4)))
    # The next run does it, whichever partition it publishes.
    keep_look_back_or_warn(kiosk)
    assert kept(query) == after
