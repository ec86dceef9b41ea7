"""Retraining in Airflow: tasks run against a real metadata database, and the trainings they start."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from airflow.sdk.definitions.dag import _run_task
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState

from evergreen.lake import Table
from evergreen.monitoring.policy import decide
from evergreen.monitoring.record import Decision, to_table
from evergreen.monitoring.training_request import first_training_request
from evergreen.monitoring.trainings import Training
from evergreen.pipeline import Pipeline
from evergreen.signals.record import Record
from evergreen.storage import Storage

TESTS = Path(__file__).resolve().parents[1]
DAY, AS_OF = "2024-01-14", "2024-01-15"


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pipeline `kiosk` alone."""
    folder = tmp_path_factory.mktemp("pipelines")
    shutil.copytree(TESTS / "pipelines" / "kiosk", folder / "kiosk")
    return folder


@pytest.fixture(scope="module")
def dags(pipelines: Path) -> Iterator[dict[str, Any]]:
    """The DAGs of the kiosk, in a metadata database of their own."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_PIPELINES", str(pipelines))
        logging.getLogger("alembic").setLevel(logging.WARNING)
        initdb()
        manager = DagBundlesManager()
        manager.sync_bundles_to_db()
        (bundle,) = manager.get_all_dag_bundles()
        bundle.initialize()
        bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
        assert bag.import_errors == {}
        sync_bag_to_db(bag, bundle.name, bundle.version)
        yield bag.dags


@pytest.fixture
def pipeline(
    configured: Storage, pipelines: Path, dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    """The kiosk with two weeks published; no training has been started before or is left after the test."""
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(pipelines))
    opened = Pipeline.open("kiosk")
    publish(opened, "2024-01-01", DAY)
    yield opened
    from airflow.models.dagrun import DagRun

    with create_session() as session:
        session.query(DagRun).delete()


def publish(pipeline: Pipeline, first: str, last: str) -> None:
    at = pa.array([0], pa.timestamp("us", tz="UTC"))
    rows = pa.table({"at": at, "temperature": [1.0], "sold": [1.0]})
    pipeline.lake.replace(Table.PARTITIONS, dict.fromkeys(pipeline.spec.calendar.between(first, last), rows))


def monitor(pipeline: Pipeline, day: str, error: float, *trainings: Training) -> Decision:
    """Write down what the monitor measured on a day, and decided on after three days like it."""
    days = [pipeline.spec.calendar.shift(day, steps) for steps in (-2, -1, 0)]
    records = [
        Record(key, "v1", 4, 4, "mae", error, 1.0, 20.0, 20.0, 0.0, {}, age=9, history=40) for key in days
    ]
    decision = decide(pipeline.spec, records, trainings)
    pipeline.lake.replace(Table.MONITORING, {day: to_table(records[-1], decision)})
    return decision


@pytest.fixture
def run_task(dags: dict[str, Any]) -> Callable[..., TaskInstanceState]:
    """Runs a task of the kiosk as a worker does; returns the state it ends in."""

    def run(stage: str, task_id: str, day: str = DAY, of: Any = None) -> TaskInstanceState:
        instance = of or new_run(dags[f"kiosk_{stage}"], day).get_task_instance(task_id)
        _run_task(ti=instance, task=dags[f"kiosk_{stage}"].get_task(task_id))
        return instance.state

    return run


def new_run(dag: Any, day: str) -> Any:
    from airflow.models.dagrun import DagRun
    from airflow.sdk import timezone
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    with create_session() as session:
        number = session.query(DagRun).count()
        return DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)).create_dagrun(
            run_id=f"manual__{day}__{number}",
            run_after=timezone.utcnow(),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.RUNNING,
            conf={"partition": day},
            session=session,
        )


def started() -> dict[str, Any]:
    """The trainings there are in Airflow: run id and conf."""
    from airflow.models.dagrun import DagRun

    with create_session() as session:
        runs = session.query(DagRun).filter(DagRun.dag_id == "kiosk_train").all()
        return {run.run_id: run.conf for run in runs}


def end(run_id: str, state: DagRunState) -> None:
    from airflow.models.dagrun import DagRun

    with create_session() as session:
        (run,) = session.query(DagRun).filter(DagRun.run_id == run_id).all()
        run.state = state


def test_the_decision_travels_to_the_training(
    pipeline: Pipeline, run_task: Callable[..., TaskInstanceState]
) -> None:
    decision = monitor(pipeline, DAY, 9.0)
    assert run_task("monitor", "retrain") == TaskInstanceState.SUCCESS
    assert started() == {
        f"monitor__{DAY}": {
            "as_of": AS_OF,
            "reason": {
                "kind": "performance",
                "sentence": decision.reason,
                "partition": DAY,
                "evidence": decision.evidence,
            },
        }
    }


def test_a_no_starts_nothing(pipeline: Pipeline, run_task: Callable[..., TaskInstanceState]) -> None:
    monitor(pipeline, DAY, 1.0)
    assert run_task("monitor", "retrain") == TaskInstanceState.SKIPPED
    assert started() == {}


def test_one_decision_starts_one_training_however_often_its_tasks_run(
    pipeline: Pipeline, run_task: Callable[..., TaskInstanceState], dags: dict[str, Any]
) -> None:
    monitor(pipeline, DAY, 9.0)
    again = new_run(dags["kiosk_monitor"], DAY).get_task_instance("retrain")
    assert run_task("monitor", "retrain", of=again) == TaskInstanceState.SUCCESS
    (first,) = started().items()
    ran = 1
    for error in (9.0, 1.0, 9.0, 30.0):  # it is monitored again, and its decision flips twice
        decision = monitor(pipeline, DAY, error)
        for instance in (again, None, again):  # cleared, in a second run of the DAG, and cleared again
            assert run_task("monitor", "retrain", of=instance) == TaskInstanceState.SKIPPED
            ran += 1
        assert decision.retrain is (error > 1)
    assert list(started().items()) == [first]
    end(first[0], DagRunState.SUCCESS)
    monitor(pipeline, DAY, 9.0)
    assert run_task("monitor", "retrain", of=again) == TaskInstanceState.SKIPPED
    assert list(started()) == [f"monitor__{DAY}"]
    print(f"retrain ran {ran + 1} times over 6 decisions on {DAY}: {len(started())} training")


def test_the_next_nights_start_none_while_it_is_under_way(
    pipeline: Pipeline, run_task: Callable[..., TaskInstanceState]
) -> None:
    monitor(pipeline, DAY, 9.0)
    run_task("monitor", "retrain")
    publish(pipeline, AS_OF, AS_OF)
    assert monitor(pipeline, AS_OF, 9.0).retrain  # nothing of the training is on record yet
    assert run_task("monitor", "retrain", AS_OF) == TaskInstanceState.SKIPPED
    assert run_task("monitor", "retrain", AS_OF) == TaskInstanceState.SKIPPED
    assert list(started()) == [f"monitor__{DAY}"]
    end(f"monitor__{DAY}", DagRunState.FAILED)  # and leaves no version
    assert run_task("monitor", "retrain", AS_OF) == TaskInstanceState.SUCCESS
    assert list(started()) == [f"monitor__{DAY}", f"monitor__{AS_OF}"]


def test_an_older_partition_starts_nothing(
    pipeline: Pipeline, run_task: Callable[..., TaskInstanceState]
) -> None:
    monitor(pipeline, DAY, 9.0)
    publish(pipeline, AS_OF, AS_OF)
    assert run_task("monitor", "retrain") == TaskInstanceState.SKIPPED
    assert started() == {}


def test_the_first_training_is_started_once(
    pipeline: Pipeline, run_task: Callable[..., TaskInstanceState]
) -> None:
    states = [run_task("score", "train_first_champion") for _ in range(3)]
    assert states == [TaskInstanceState.SUCCESS, TaskInstanceState.SKIPPED, TaskInstanceState.SKIPPED]
    request = first_training_request(pipeline)
    assert started() == {f"first__{AS_OF}": {"as_of": AS_OF, "reason": request.reason}}
