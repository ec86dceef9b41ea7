"""Alerts within Airflow: which tasks tell, what they tell, the watch DAG and the limits of runs."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, AsyncCallback, CronTriggerTimetable, DeadlineReference
from airflow.sdk.exceptions import AirflowFailException
from airflow.serialization.decoders import decode_deadline_alert
from airflow.serialization.encoders import encode_deadline_alert

from evergreen.pipeline import Pipeline
from evergreen.spec import load_spec
from evergreen.storage import Storage
from evergreen_airflow.lifecycle import watched
from evergreen_airflow.notifiers import AlertNotifier
from evergreen_airflow.timetable import PartitionTimetable

REPOSITORY = Path(__file__).resolve().parents[2]
DAY, NEXT = "2024-01-05", "2024-01-06"
PIPELINE = """
name: shop
description: Sales of a shop
owner: tests
schedule: "{schedule}"
{when}
sources:
  sales: {{file: {{path: sales.csv{time_column}}}}}
key: [at]
task: regression
target: sold
training: {{metric: mae, candidates: [{{estimator: sklearn.linear_model.Ridge}}]}}
alerts:
  to: [{{conn_id: ops}}]
  deadline: "{deadline}"
  limits: {{score: 5 minutes}}
"""

Describe = Callable[..., Any]


@pytest.fixture
def describe(tmp_path: Path, configured: Storage, monkeypatch: pytest.MonkeyPatch) -> Describe:
    """Writes the pipeline `shop`; returns its description."""
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))

    def write(schedule: str = "0 2 * * *", grain: str = "daily", deadline: str = "06:30") -> Any:
        timed = grain != "snapshot"
        text = PIPELINE.format(
            schedule=schedule,
            when=f"partition: {grain}" + ("\nstart: 2024-01-01" if timed else ""),
            time_column=", time_column: at" if timed else "",
            deadline=deadline,
        )
        (tmp_path / "shop").mkdir(exist_ok=True)
        (tmp_path / "shop" / "pipeline.yaml").write_text(text)
        (tmp_path / "shop" / "expectations.yaml").write_text("expectations: []\n")
        return load_spec("shop")

    return write


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What the connection `ops` was sent."""
    bodies: list[dict[str, Any]] = []

    class Takes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Takes)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    monkeypatch.setenv("AIRFLOW_CONN_OPS", json.dumps({"conn_type": "http", "host": address}))
    yield bodies
    server.shutdown()
    server.server_close()


def context(task: str = "score", day: str | None = DAY, began: datetime | None = None, **more: Any) -> Any:
    run = SimpleNamespace(partition_key=day, start_date=began or datetime.now(UTC), run_after=None)
    return {"ti": SimpleNamespace(dag_id="shop_score", task_id=task), "dag_run": run, "params": {}, **more}


def test_every_task_tells_of_its_failure_and_of_its_next_success() -> None:
    bag = DagBag(str(REPOSITORY / "dags"))
    tasks = [task for dag in bag.dags.values() for task in dag.tasks]
    assert len(tasks) > 20
    for task in tasks:
        assert [callback.event for callback in task.on_failure_callback] == ["failed"], task
        assert [callback.event for callback in task.on_success_callback] == ["succeeded"], task


def test_a_failure_is_told_and_the_next_success(describe: Describe, told: list) -> None:
    describe()
    why = AirflowFailException("shop 2024-01-05: version x is damaged:\n train a new one")
    AlertNotifier("failed")(context(exception=why))
    AlertNotifier("failed")(context(exception=why))
    AlertNotifier("succeeded")(context(day=NEXT))
    assert [body["title"] for body in told] == ["[critical] shop: score failed", "[over] shop: score failed"]
    assert told[0]["partition"] == DAY
    assert told[0]["message"].startswith(
        "shop_score, task score: shop 2024-01-05: version x is damaged: train a new one\n"
    )


def test_what_others_raise_is_not_sent(describe: Describe, told: list) -> None:
    describe()
    AlertNotifier("failed")(context(exception=RuntimeError("postgres://ann:hidden-word@db")))
    assert "shop_score, task score: RuntimeError: see the task's log" in told[0]["message"]
    assert "hidden-word" not in json.dumps(told)
    describe()
    AlertNotifier("failed")(context(task="other"))
    assert "shop_score, task other: it was ended from outside" in told[1]["message"]


def test_the_partition_is_that_of_the_form_before_that_of_the_run(describe: Describe, told: list) -> None:
    describe()
    AlertNotifier("failed")({**context(exception=KeyError()), "params": {"partition": NEXT, "to": None}})
    assert told[0]["partition"] == NEXT


def test_a_receiver_or_store_out_of_reach_is_one_line(
    describe: Describe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    describe()
    monkeypatch.delenv("EVERGREEN_STORAGE")
    caplog.set_level(logging.WARNING)
    AlertNotifier("failed")(context(exception=AirflowFailException("shop: it broke")))
    assert caplog.messages == [
        "ALERT shop_score score: shop: it broke",
        "shop_score: no alert could be sent: EVERGREEN_STORAGE is not set: start the embedded stack (make "
        "up), or set it to s3://bucket or s3://bucket/prefix",
    ]


def late(run_type: str = "scheduled", **run: Any) -> dict[str, Any]:
    """What Airflow hands to the callback of a deadline."""
    whole = {"dag_id": "shop_score", "run_type": run_type, "partition_key": DAY, "conf": {}}
    whole |= {"state": "running", **run}
    return {"dag_run": whole, "deadline": {"id": "1", "deadline_time": "2024-01-06T02:05:00Z"}}


def test_a_run_past_its_limit_is_told_from_the_triggerer(describe: Describe, told: list) -> None:
    describe()

    async def missed(context: dict[str, Any]) -> None:
        await AlertNotifier(event="late", context=context)  # as Airflow's trigger does

    asyncio.run(missed(late()))
    asyncio.run(missed(late(run_type="backfill", partition_key=NEXT)))
    asyncio.run(missed(late(state="failed", partition_key=NEXT)))
    assert [(body["key"], body["partition"]) for body in told] == [("slow_score", DAY)]
    AlertNotifier("succeeded")(context(began=datetime.now(UTC) - timedelta(minutes=6)))
    assert len(told) == 1
    AlertNotifier("succeeded")(context(began=datetime.now(UTC) - timedelta(minutes=4)))
    assert told[1]["title"] == "[over] shop: score takes too long"


def test_a_limit_is_a_deadline_of_the_run(describe: Describe) -> None:
    describe()
    bag = DagBag(str(REPOSITORY / "dags"))
    assert bag.import_errors == {}
    assert set(bag.dags) == {
        f"shop_{stage}" for stage in ("ingest", "score", "monitor", "train", "maintain", "watch")
    }
    (deadline,) = bag.dags["shop_score"].deadline
    assert deadline.reference == DeadlineReference.DAGRUN_QUEUED_AT
    stored = encode_deadline_alert(deadline)
    assert timedelta(seconds=stored["interval"]) == timedelta(minutes=5), (
        "as Airflow counts it when it clears"
    )
    assert decode_deadline_alert({"__type": "deadline_alert", "__var": stored}).interval == timedelta(
        minutes=5
    )
    assert deadline.callback == AsyncCallback(AlertNotifier, kwargs={"event": "late"})
    assert deadline.callback.path == "evergreen_airflow.notifiers.AlertNotifier"
    assert not bag.dags["shop_ingest"].deadline


def test_a_pipeline_with_a_deadline_has_a_watch(describe: Describe) -> None:
    describe()
    dag = DagBag(str(REPOSITORY / "dags")).dags["shop_watch"]
    assert [task.task_id for task in dag.tasks] == ["watch"]
    assert dag.tags == {"evergreen", "watch", "regression", "daily"}
    assert "06:30 (UTC), the first at or after the tick of `shop_ingest`" in dag.doc_md
    assert set(dag.params) == {"partition"}


@pytest.mark.parametrize(
    ("schedule", "grain", "deadline", "key", "at"),
    [
        ("0 2 * * *", "daily", "06:30", "2024-05-01", "05-02T06:30"),
        ("0 22 * * *", "daily", "06:30", "2024-05-01", "05-03T06:30"),
        ("0 2 * * *", "daily", "02:00", "2024-05-01", "05-02T02:00"),
        ("@daily", "daily", "00:10", "2024-05-01", "05-02T00:10"),
        ("0 2 * * 1-5", "daily", "06:30", "2024-05-03", "05-06T06:30"),
        ("0 3 * * 1", "weekly", "08:00", "2024-04-29", "05-06T08:00"),
        ("@weekly", "weekly", "08:00", "2024-04-29", "05-12T08:00"),
        ("30 4 1 * *", "monthly", "04:00", "2024-04", "05-02T04:00"),
        ("10 * * * *", "hourly", "00:40", "2024-05-01T05", "05-01T06:40"),
        ("10 * * * *", "hourly", "00:05", "2024-05-01T05", "05-01T07:05"),
    ],
)
def test_a_partition_is_watched_at_the_first_deadline_after_its_tick(
    describe: Describe, schedule: str, grain: str, deadline: str, key: str, at: str
) -> None:
    timetable = watched(describe(schedule, grain, deadline))
    assert isinstance(timetable, PartitionTimetable)
    assert f"{timetable.ticks.at(key):%m-%dT%H:%M}" == at


def test_the_deadline_is_an_hour_of_the_pipelines_zone(describe: Describe) -> None:
    spec = describe().model_copy(update={"timezone": "Asia/Kolkata"})
    timetable = watched(spec)
    assert isinstance(timetable, PartitionTimetable)
    assert f"{timetable.ticks.at('2024-05-01'):%m-%dT%H:%M}" == "05-02T01:00"


def test_a_snapshot_is_watched_every_day(describe: Describe) -> None:
    timetable = watched(describe("0 3 * * 1", "snapshot", "07:00"))
    assert isinstance(timetable, CronTriggerTimetable)
    assert timetable.expression == "0 7 * * *"


def test_the_watch_tells_and_succeeds(describe: Describe, told: list) -> None:
    from evergreen_airflow.operators.watch import WatchOperator

    spec = describe()
    WatchOperator(task_id="watch", pipeline="shop").execute(context())
    assert [body["title"] for body in told] == [f"[critical] shop: ingest of {DAY} is missing"]
    assert Pipeline.open("shop").spec == spec


def test_the_alert_task_of_a_partition_that_is_not_monitored_fails_in_one_line(describe: Describe) -> None:
    from evergreen_airflow.operators.alert import AlertOperator

    describe()
    with pytest.raises(AirflowFailException, match="shop 2024-01-05: this partition is not monitored"):
        AlertOperator(task_id="alert", pipeline="shop", dag=DAG("shop_monitor", schedule=None)).execute(
            context()
        )
