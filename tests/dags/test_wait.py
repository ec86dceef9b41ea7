"""Waiting for a source: the task that asks and defers, and the trigger that asks on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import structlog
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from evergreen_airflow.connections import open_pipeline
from evergreen_airflow.lifecycle import alert
from evergreen_airflow.operators.base import task_outcome
from evergreen_airflow.operators.wait import WaitForSourceOperator
from evergreen_airflow.triggers import SourceCompleteTrigger

PIPELINE = """
name: shop
description: Sales of a shop
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  sales:
    {kind}
    complete: {question}
key: [at]
task: regression
target: sold
training: {{metric: mae, candidates: [{{estimator: sklearn.linear_model.Ridge}}]}}
"""
FILE = 'file: {path: "{partition}.csv", time_column: at}'
DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]


@pytest.fixture
def describe(tmp_path: Path, clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes the pipeline `shop` with a question; returns its folder."""
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    monkeypatch.setenv("EVERGREEN_STORAGE", "s3://never-contacted")

    def write(question: str, kind: str = FILE) -> Path:
        folder = tmp_path / "shop"
        folder.mkdir()
        (folder / "pipeline.yaml").write_text(PIPELINE.format(question=question, kind=kind))
        return folder

    return write


@pytest.fixture
def folder(describe: Callable[..., Path]) -> Path:
    """The folder of a pipeline whose partition is complete when `<partition>.done` is there."""
    return describe('{file: "{partition}.done", every: 5 minutes, within: 6 hours}')


class Listener:
    """Keeps what the trigger says; `then` is done at every line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.then: Callable[[], object] = lambda: None

    def __call__(self, logger: Any, method: str, event: dict[str, Any]) -> NoReturn:
        self.lines.append(event["event"])
        self.then()
        raise structlog.DropEvent


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Listens to the trigger, in the place of Airflow's log."""
    # In place, for loggers that are made already hold the very list.
    processors = structlog.get_config()["processors"]
    before, listener = list(processors), Listener()
    processors[:] = [listener]
    yield listener
    processors[:] = before


def trigger(partitions: list[str], every: float = 0.01, left: float = 60) -> SourceCompleteTrigger:
    until = datetime.now(UTC) + timedelta(seconds=left)
    return SourceCompleteTrigger("shop", "sales", partitions, every, until.isoformat())


def fired(waiting: SourceCompleteTrigger) -> list[Any]:
    """The payloads of all events of the trigger, run to its end."""

    async def events() -> list[Any]:
        return [event.payload async for event in waiting.run()]

    return asyncio.run(asyncio.wait_for(events(), 30))


def test_the_trigger_fires_when_the_file_appears(folder: Path, listener: Listener) -> None:
    listener.then = (folder / f"{DAYS[0]}.done").touch
    assert fired(trigger(DAYS[:1])) == ["sales"]
    assert listener.lines == [
        "shop 2024-01-01: source 'sales' is not complete: 2024-01-01.done does not exist"
    ]


def test_the_trigger_asks_only_for_what_is_still_missing(folder: Path, listener: Listener) -> None:
    (folder / f"{DAYS[1]}.done").touch()

    def next_file() -> None:
        (folder / f"{DAYS[0] if len(listener.lines) == 1 else DAYS[2]}.done").touch()

    listener.then = next_file
    assert fired(trigger(DAYS)) == ["sales"]
    assert listener.lines == [
        "shop 2024-01-01: source 'sales' is not complete: 2024-01-01.done does not exist "
        "(and 1 more: 2024-01-03)",
        "shop 2024-01-03: source 'sales' is not complete: 2024-01-03.done does not exist",
    ]


def test_the_trigger_gives_up_at_the_deadline(folder: Path, listener: Listener) -> None:
    assert fired(trigger(DAYS[:1], every=0.2, left=1)) == ["sales"]
    assert listener.lines
    assert len(set(listener.lines)) == 1


def test_a_trigger_made_anew_after_the_deadline_fires_at_once(folder: Path, listener: Listener) -> None:
    assert fired(trigger(DAYS[:1], every=3600, left=-1)) == ["sales"]
    assert listener.lines == []


def test_the_trigger_goes_on_while_the_source_cannot_be_reached(
    describe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, listener: Listener, free_port: int
) -> None:
    folder = describe("{sql: loaded.sql}", kind="postgres: {conn_id: shop_db, table: sales, time_column: at}")
    (folder / "loaded.sql").write_text("SELECT true")
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", f"postgres://ann:hidden-word@127.0.0.1:{free_port}/shop")
    assert fired(trigger(DAYS, every=0.2, left=1)) == ["sales"]
    assert listener.lines
    assert all("connection 'shop_db'" in line and "hidden-word" not in line for line in listener.lines)
    assert "(and 2 more: 2024-01-02, 2024-01-03)" in listener.lines[0]


def test_the_trigger_fires_at_once_where_asking_again_is_vain(
    describe: Callable[..., Path], listener: Listener
) -> None:
    describe("{sql: loaded.sql}", kind="postgres: {conn_id: shop_db, table: sales, time_column: at}")
    assert fired(trigger(DAYS[:1])) == ["sales"]
    (line,) = listener.lines
    assert line.startswith("shop 2024-01-01: source 'sales': complete.sql: no sql file")


def test_what_is_stored_of_a_trigger_makes_it_anew_and_holds_only_names(folder: Path) -> None:
    waiting = trigger(DAYS)
    path, arguments = waiting.serialize()
    assert path == "evergreen_airflow.triggers.SourceCompleteTrigger"
    assert set(arguments) == {"pipeline", "source", "partitions", "every", "until"}
    again = SourceCompleteTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == waiting.serialize()


def context(began: datetime, **params: Any) -> Any:
    run = SimpleNamespace(partition_key=DAYS[0], start_date=began, run_after=began - timedelta(days=300))
    return {"params": params, "dag_run": run}


def ask(began: datetime, **params: Any) -> None:
    """One execution of the task in a run that began then."""
    with task_outcome():
        task = WaitForSourceOperator(task_id="wait_sales", pipeline="shop", source="sales")
        task.run(open_pipeline("shop"), context(began, **params))


def test_the_task_ends_at_once_if_the_source_is_complete(folder: Path) -> None:
    (folder / f"{DAYS[0]}.done").touch()
    ask(datetime.now(UTC) - timedelta(days=30))


def test_the_task_defers_to_the_deadline_of_its_run(folder: Path) -> None:
    began = datetime.now(UTC) - timedelta(hours=2)
    with pytest.raises(TaskDeferred) as deferred:
        ask(began)
    _, arguments = deferred.value.trigger.serialize()
    assert arguments == {
        "pipeline": "shop",
        "source": "sales",
        "partitions": DAYS[:1],
        "every": 300.0,
        "until": (began + timedelta(hours=6)).isoformat(),
    }
    assert deferred.value.method_name == "execute"
    assert timedelta(hours=4) < deferred.value.timeout < timedelta(hours=4, minutes=16)


def test_the_task_waits_for_every_partition_of_a_range(folder: Path) -> None:
    (folder / f"{DAYS[1]}.done").touch()
    with pytest.raises(TaskDeferred) as deferred:
        ask(datetime.now(UTC), to=DAYS[2])
    assert deferred.value.trigger.partitions == [DAYS[0], DAYS[2]]


def test_the_task_fails_after_the_deadline_in_one_line(folder: Path) -> None:
    began = datetime.now(UTC) - timedelta(hours=6, seconds=1)
    with pytest.raises(AirflowFailException) as failure:
        ask(began)
    assert str(failure.value) == (
        "shop 2024-01-01: source 'sales' is not complete: 2024-01-01.done does not exist; asked since "
        f"{began:%Y-%m-%d %H:%M:%S} UTC, for longer than the 6:00:00 of complete.within: see why 'sales' is "
        "late, then clear this task, or allow more time in pipeline.yaml"
    )


def test_the_task_fails_at_once_where_asking_again_is_vain(describe: Callable[..., Path]) -> None:
    describe("{sql: loaded.sql}", kind="postgres: {conn_id: shop_db, table: sales, time_column: at}")
    with pytest.raises(AirflowFailException, match=r"source 'sales': complete\.sql: no sql file"):
        ask(datetime.now(UTC))


def test_the_alert_is_one_error_line(caplog: pytest.LogCaptureFixture) -> None:
    ti = SimpleNamespace(dag_id="shop_ingest", task_id="wait_sales")
    alert({"ti": ti, "exception": AirflowFailException("shop 2024-01-01: it is late")})
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["ALERT shop_ingest wait_sales: shop 2024-01-01: it is late"]
