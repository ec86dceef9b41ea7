"""Notes and names of runs, in the scheduler's own transaction: open, and not to be committed."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.dagrun import DagRun, DagRunNote
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.settings import Session
from airflow.utils.sqlalchemy import prohibit_commit
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunType
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError

from evergreen.errors import NothingToDoError, RefusedError
from evergreen.storage import Storage
from evergreen_airflow import run_notes
from evergreen_airflow.operators.base import PipelineOperator
from evergreen_airflow.run_names import named
from evergreen_airflow.run_notes import AUTHOR, KEY, LONGEST, joined, leave

AT = datetime(2024, 1, 1, tzinfo=UTC)
Left = Callable[..., DagRun]


@pytest.fixture
def scheduler(database: None) -> Iterator[Any]:
    """A session in which nothing may be committed, as in the scheduler's loop; it is rolled back."""
    session = Session()
    with prohibit_commit(session):
        yield session
        session.rollback()
    session.close()


@pytest.fixture
def left(scheduler: Any) -> Left:
    """A run that has ended, and what its tasks have left, the first one last by name."""

    def make(*texts: Any, state: str = DagRunState.SUCCESS) -> DagRun:
        run = DagRun("shop_monitor", "manual__1", run_after=AT, run_type=DagRunType.MANUAL, state=state)
        scheduler.add(run)
        scheduler.flush()
        for number, text in enumerate(texts):
            place = {"dag_id": run.dag_id, "task_id": f"task_{9 - number}", "run_id": run.run_id}
            scheduler.execute(insert(TaskInstance).values(**place, pool="default_pool", pool_slots=1))
            at = AT + timedelta(seconds=number)
            row = {"dag_run_id": run.id, "key": KEY, "value": text, "timestamp": at, "map_index": -1}
            scheduler.execute(insert(XComModel).values(**place, **row))
        return run

    return make


def note_of(session: Any, run: DagRun) -> Any:
    found = select(DagRunNote.content, DagRunNote.user_id).where(DagRunNote.dag_run_id == run.id)
    return session.execute(found).one_or_none()


def test_a_run_that_has_ended_has_what_its_tasks_left_in_their_order(scheduler: Any, left: Left) -> None:
    run = left("2024-01-01: 4 rows", "v2: champion", state=DagRunState.FAILED)
    run_notes.on_dag_run_failed(run, "task_failure")
    assert note_of(scheduler, run) == ("2024-01-01: 4 rows\n\nv2: champion", AUTHOR)


def test_a_run_that_is_cleared_has_the_note_of_its_last_end(scheduler: Any, left: Left) -> None:
    run = left("new")
    scheduler.execute(insert(DagRunNote).values(dag_run_id=run.id, content="old", user_id=AUTHOR))
    run_notes.on_dag_run_success(run, "")
    assert note_of(scheduler, run).content == "new"


def test_the_note_of_a_person_stays(scheduler: Any, left: Left) -> None:
    run = left("new")
    scheduler.execute(insert(DagRunNote).values(dag_run_id=run.id, content="see the ticket", user_id="ann"))
    run_notes.on_dag_run_success(run, "")
    assert note_of(scheduler, run) == ("see the ticket", "ann")


@pytest.mark.parametrize("texts", [(), ({"kept": "elsewhere"},)])
def test_a_run_without_texts_has_no_note(scheduler: Any, left: Left, texts: tuple[Any, ...]) -> None:
    run = left(*texts)
    run_notes.on_dag_run_success(run, "")
    assert note_of(scheduler, run) is None


def test_an_error_of_the_database_is_a_warning_and_leaves_the_schedulers_work(
    scheduler: Any, left: Left, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = left("new")

    def fail(connection: Any, number: int, text: str) -> None:
        scheduler.connection().execute(insert(DagRunNote).values(dag_run_id=number, content="half"))
        raise OperationalError("insert", {}, Exception("locked"))

    monkeypatch.setattr(run_notes, "_replace", fail)
    with caplog.at_level(logging.WARNING):
        run_notes.on_dag_run_success(run, "")
    assert "shop_monitor manual__1 has no note" in caplog.text
    assert note_of(scheduler, run) is None, "the savepoint is undone"
    assert scheduler.get(DagRun, run.id) is run, "the transaction goes on"


def test_a_long_note_is_cut_at_a_line_to_what_airflow_stores() -> None:
    text = joined(["a line", *["b" * 80] * 20])
    assert len(text) <= LONGEST
    assert text.startswith("a line\n\nbbb")
    assert text.endswith("b ...")
    assert len(joined(["c" * 2000])) <= LONGEST


class Ends(PipelineOperator):
    """Ends with an error."""

    error: Exception

    def run(self, pipeline: Any, context: Any) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("dag", "task", "error", "leaves"),
    [
        (
            "score",
            "score",
            NothingToDoError("bike_demand 2011-01-01: no champion"),
            "2011-01-01: no champion",
        ),
        ("train", "build_training_set", NothingToDoError("bike_demand: too little"), "too little"),
        ("monitor", "promote", NothingToDoError("bike_demand 2011-01-01: none is due"), None),
        (
            "monitor",
            "report",
            RefusedError("bike_demand 2011-01-01: [no] report"),
            r"2011-01-01: \[no\] report",
        ),
    ],
)
def test_a_task_leaves_why_its_stage_was_not_done(
    configured: Storage, dag: str, task: str, error: Exception, leaves: str | None
) -> None:
    with DAG(f"bike_demand_{dag}", schedule=None):
        done = Ends(task_id={"train": "gate"}.get(dag, dag), pipeline="bike_demand")
        ends = done if done.task_id == task else Ends(task_id=task, pipeline="bike_demand")
        if dag == "train":
            ends >> done
        elif ends is not done:
            done >> ends
    ends.error, pushed = error, {}
    context: Any = {"ti": SimpleNamespace(xcom_push=pushed.__setitem__)}
    with pytest.raises((AirflowSkipException, AirflowFailException)):
        ends.execute(context)
    assert pushed.get(KEY) == leaves


def test_a_note_that_cannot_be_left_fails_no_task(caplog: pytest.LogCaptureFixture) -> None:
    def fail(key: str, text: str) -> None:
        raise ConnectionError("the API server is away")

    context: Any = {"ti": SimpleNamespace(xcom_push=fail)}
    leave(context, "done")
    assert "the API server is away" in caplog.text


@pytest.mark.parametrize(
    ("run_id", "partition", "name"),
    [
        (
            "asset_triggered__2026-11-29T21:13_aB",
            "2011-05-09",
            "asset_triggered__2011-05-09__2026-11-29T21:13_aB",
        ),
        ("manual__2026-11-29T21:13_aB", "2011-05-09", "manual__2011-05-09__2026-11-29T21:13_aB"),
        ("manual__2026-11-29T21:13_aB", None, "manual__2026-11-29T21:13_aB"),
        ("manual__2026-11-29T21:13_aB", "../x", "manual__2026-11-29T21:13_aB"),
        ("manual__the night of the flood", "2011-05-09", "manual__the night of the flood"),
        ("monitor__2011-05-09", "2011-05-10", "monitor__2011-05-09"),
        ("scheduled__2011-05-10__2011-05-09__x", "2011-05-09", "scheduled__2011-05-10__2011-05-09__x"),
    ],
)
def test_a_name_that_airflow_gave_is_completed_and_no_other(
    run_id: str, partition: str | None, name: str
) -> None:
    assert named(run_id, partition) == name


def test_runs_of_pipelines_are_named_once_the_scheduler_starts(embedded: None, database: None) -> None:
    """In a process of its own: what it does to Airflow's runs lasts."""
    program = """
import json
from airflow.jobs.job import Job
from airflow.listeners.listener import get_listener_manager
from airflow.models.dagrun import DagRun
from airflow.utils.types import DagRunType

facts = {"run_type": DagRunType.MANUAL, "state": None}
def name(dag_id, **more):
    return DagRun(dag_id=dag_id, run_id="manual__2026", **facts, **more).run_id
before = name("bike_demand_score", partition_key="2011-05-09")
Job(); Job()
print(json.dumps([
    before,
    name("bike_demand_score", partition_key="2011-05-09"),
    name("bike_demand_ingest", conf={"partition": "2011-01-01", "to": "2011-03-31"}),
    name("bike_demand_train", conf={"as_of": "2011-04-01", "reason": "by hand"}),
    name("bike_demand_ingest", conf={"partition": 7}),
    name("bike_demand_ingest"),
    name("of_others_score", partition_key="2011-05-09"),
    name("bike_demand_other", partition_key="2011-05-09"),
]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [
        "manual__2026",
        "manual__2011-05-09__2026",
        "manual__2011-03-31__2026",
        "manual__2011-04-01__2026",
        "manual__7__2026",
        "manual__2026",
        "manual__2026",
        "manual__2026",
    ]
