"""Sixty partitions while workers, broker, stores and scheduler are lost, and nights beside long trainings."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest

from deploy.embedded import airflow as embedded_airflow
from deploy.embedded import environment, keeper, postgres, processes
from deploy.embedded.airflow_api import ACTIVE, ENDED, AirflowApi, Run
from deploy.embedded.errors import StackError
from deploy.embedded.executor import answering, slots
from deploy.embedded.stack import Stack
from evergreen.errors import EvergreenError, NothingToDoError
from evergreen.ingestion.stage import ingest_all
from evergreen.lake import PARTITION, Table
from evergreen.monitoring.stage import monitor
from evergreen.pipeline import Pipeline
from evergreen.scoring.score import score
from evergreen.stages import INGEST, MONITOR, SCORE, TRAIN
from evergreen.storage import Storage
from evergreen.training.stage import train
from tests.campaign import seed
from tests.e2e.waiting import wait_for
from tests.faults.stack import KINDS, WORKERS, Chaos
from tests.workers.conftest import HALF

NAME = "bike_demand"
DAGS = INGESTED, SCORED, MONITORED, TRAINED = [
    stage.dag_id(NAME) for stage in (INGEST, SCORE, MONITOR, TRAIN)
]
# What a record says of its night alone; the other columns look back at nights that were monitored before.
OWN = ("version", "rows", "labelled", "metric", "error", "promised", "level", "bias")
# Of a version, what follows from the rows alone: the file of the model holds the time at which it was packed.
FILES = ("golden.parquet", "metrics.json", "gate.json", "reference.json", "explanation.json", "asked.json")
TABLES = (Table.PARTITIONS, Table.QUARANTINE, Table.PREDICTIONS)
LONG = 3600.0


@pytest.fixture(scope="module")
def days() -> list[str]:
    """The days of both halves, and the day after them."""
    first = Pipeline.open(NAME).spec.first_partition
    return [Pipeline.open(NAME).spec.calendar.shift(first, number) for number in range(2 * HALF + 1)]


@pytest.fixture(scope="module", autouse=True)
def _unpaused(stack: Stack, airflow: AirflowApi) -> None:
    ids = [*DAGS, "long_trainings", "ten_seconds"]
    wait_for(lambda: all(airflow.dag(dag_id) for dag_id in ids), "Airflow to read the DAG files")
    wait_for(lambda: not (airflow.dag(INGESTED) or {})["next_dagrun_run_after"], "no night to be due")
    for dag_id in (INGESTED, TRAINED, "long_trainings", "ten_seconds"):
        airflow.unpause(dag_id)


@pytest.fixture(scope="module")
def undisturbed(stack: Stack, days: list[str]) -> Pipeline:
    """The same history by the same functions in one process, in another folder of the store."""
    pipeline = Pipeline.open(NAME, storage=Storage.open().child("undisturbed"))
    ingest_all(pipeline, days[:HALF], lambda done: None)
    train(pipeline, days[HALF], {"kind": "first", "sentence": "undisturbed"})
    ingest_all(pipeline, days[HALF:-1], lambda done: None)
    for day in days[:-1]:
        with suppress(NothingToDoError):
            score(pipeline, day)
            monitor(pipeline, day)
    train(pipeline, days[-1], {"kind": "shell", "sentence": "undisturbed"})
    with postgres.connect(stack.ports, stack.secrets) as connection:
        connection.execute("TRUNCATE bike_demand_predictions")  # the workers are to write it
    return pipeline


def test_a_task_of_a_killed_worker_ends_elsewhere(
    stack: Stack, airflow: AirflowApi, tell: Callable[[str], None]
) -> None:
    """It is waited for as long as its worker may be silent, and then for the pause before another try."""
    run = airflow.trigger("ten_seconds")
    wait_for(lambda: airflow.tasks(run) == {"wait": "running"}, "the task to run")
    (worker,) = _at_work(stack)
    for process in processes.leftovers(stack.home, worker):
        process.kill()
    began = time.monotonic()
    wait_for(lambda: airflow.run(run).ended, "the task to end")
    tell(f"a task of 10 s ended {time.monotonic() - began:.0f} s after its worker was killed")
    assert airflow.run(run).state == "success"
    assert [task["try_number"] for task in airflow.task_instances(run)] == [2]


def test_everything_ends_well_whatever_is_lost(
    stack: Stack,
    airflow: AirflowApi,
    undisturbed: Pipeline,
    days: list[str],
    tell: Callable[[str], None],
) -> None:
    """Nobody looks after it: the keeper starts what is lost, and the rest is up to Airflow and the stages.

    Nights are scored once all are published, so that each is scored once; which of them is first, and what
    follows where one is published late, is held by `tests/unit/scoring/test_order.py`.
    """
    chaos = Chaos(stack, seed(60))
    pipeline = Pipeline.open(NAME)
    began = time.monotonic()
    _backfill(stack, days[0], days[-2])
    _under(chaos, lambda: airflow.count(INGESTED, ENDED) >= 2 * HALF and _settled(airflow), "the partitions")
    _train_under(chaos, airflow, days[HALF])
    for dag_id in (SCORED, MONITORED):
        airflow.unpause(dag_id)
    for day in days[HALF:-1]:
        airflow.trigger(SCORED, partition=day)
    _under(chaos, lambda: airflow.count(MONITORED, ENDED) >= HALF and _settled(airflow), "the nights")
    _train_under(chaos, airflow, days[-1])
    tell(
        f"{2 * HALF} partitions in {time.monotonic() - began:.0f} s: {dict(sorted(chaos.counts.items()))}, "
        f"a worker every {chaos.seconds / chaos.counts[WORKERS]:.0f} s, {_tried_again(stack)}, "
        f"{_started_again(stack)} programs started again by the keeper"
    )

    assert {dag_id: airflow.count(dag_id, ["failed"]) for dag_id in DAGS} == dict.fromkeys(DAGS, 0)
    assert chaos.counts.keys() >= {*KINDS, WORKERS}
    assert pipeline.registry.verify() == []
    assert _history(pipeline) == _history(undisturbed)
    assert len(_history(pipeline)) == 2
    assert pipeline.registry.champion() == undisturbed.registry.champion()
    for version in undisturbed.registry.versions():
        assert _files(pipeline, version) == _files(undisturbed, version)
    for table in TABLES:
        assert _rows(pipeline, table) == _rows(undisturbed, table), table
    assert _rows(pipeline, Table.QUARANTINE), "no row was in quarantine: more partitions have some"
    assert _rows(pipeline, Table.MONITORING, OWN) == _rows(undisturbed, Table.MONITORING, OWN)
    assert _written_back(stack) == {
        row["rented_at"]: row["prediction"] for row in _rows(pipeline, Table.PREDICTIONS)
    }


def test_trainings_that_do_not_end_hold_up_no_night(
    stack: Stack, airflow: AirflowApi, days: list[str]
) -> None:
    """There are more of them than slots for trainings, so that some wait."""
    scored = airflow.count(SCORED, ENDED)
    trainings = airflow.trigger("long_trainings")
    wait_for(lambda: _running(airflow, trainings) == slots(), "the trainings to take all that they may have")
    night = airflow.trigger(INGESTED, partition=days[0])
    wait_for(lambda: airflow.run(night).ended, "the night")
    wait_for(lambda: airflow.count(SCORED, ENDED) > scored, "the night to be scored")
    assert airflow.run(night).state == "success"
    assert _running(airflow, trainings) == slots()
    (stack.home.root / "trained").touch()
    wait_for(lambda: airflow.run(trainings).ended, "the trainings")
    assert airflow.run(trainings).state == "success"


def _at_work(stack: Stack) -> list[str]:
    """The workers that run a task: each of their processes that has a child."""
    leaders = {name: processes.find(stack.home, name) for name in stack.executor.queues}
    return [
        name
        for name, leader in leaders.items()
        if leader and any(each.children() for each in leader.children())
    ]


def _train_under(chaos: Chaos, airflow: AirflowApi, as_of: str) -> None:
    run = airflow.trigger(TRAINED, conf={"as_of": as_of, "reason": "the end of a half"})
    _under(chaos, lambda: airflow.run(run).ended, f"the training as of {as_of}")


def _running(airflow: AirflowApi, run: Run) -> int:
    return list(airflow.tasks(run).values()).count("running")


def _backfill(stack: Stack, first: str, last: str) -> None:
    create = ["backfill", "create", "--dag-id", INGESTED, "--max-active-runs", "16"]
    variables = environment.for_programs(environment.read(stack.home))
    dates = ["--from-date", first, "--to-date", last]
    subprocess.run([str(embedded_airflow.executable()), *create, *dates], env=variables, check=True)


def _settled(airflow: AirflowApi) -> bool:
    return not any(airflow.count(dag_id, ACTIVE) for dag_id in DAGS)


def _under(chaos: Chaos, ready: Callable[[], object], what: str) -> None:
    """Wait under chaos, and then for the keeper to have made the stack whole again."""
    with chaos:
        _wait(ready, what)
    _wait(lambda: _whole(chaos.stack), "the stack to be whole")


def _whole(stack: Stack) -> bool:
    """Whether all of it runs and answers."""
    workers = stack.executor.queues.keys() <= answering(stack.ports, stack.secrets)
    return workers and all(stack.state().values()) and AirflowApi.of(stack).dag(INGESTED) is not None


def _wait(ready: Callable[[], object], what: str) -> None:
    """Wait while the api-server and the store may be away."""

    def patiently() -> object:
        with suppress(StackError, EvergreenError):
            return ready()
        return False

    wait_for(patiently, what, LONG)


def _tried_again(stack: Stack) -> str:
    """What the losses have cost: tries of tasks, as Airflow counts them."""
    with postgres.connect(stack.ports, stack.secrets, postgres.AIRFLOW_DATABASE) as connection:
        (row,) = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE try_number > 1), max(try_number) FROM task_instance "
            "WHERE try_number > 0"
        ).fetchall()
    return "{} tasks, {} of them tried again, one {} times".format(*row)


def _started_again(stack: Stack) -> int:
    return processes.log_path(stack.home, keeper.NAME).read_text().count(" has ended and is started again")


def _history(pipeline: Pipeline) -> list[tuple[object, ...]]:
    """What happened, without when and by whom."""
    return [(one.seq, one.kind, one.version, one.as_of, one.replaces) for one in pipeline.registry.history()]


def _files(pipeline: Pipeline, version: str) -> list[bytes]:
    return [pipeline.registry.read(version, name) for name in FILES]


def _rows(pipeline: Pipeline, table: Table, columns: Iterable[str] = ()) -> list[dict[str, Any]]:
    """A table's rows in the order of all they say; no rows where nothing was written to it."""
    found = pipeline.lake.find(table)
    if found is None:
        return []
    chosen = [name for name in found.column_names if name in {*columns, PARTITION} or not columns]
    return sorted(found.select(chosen).to_pylist(), key=repr)


def _written_back(stack: Stack) -> dict[object, object]:
    with postgres.connect(stack.ports, stack.secrets) as connection:
        return dict(
            connection.execute("SELECT rented_at, prediction FROM bike_demand_predictions").fetchall()
        )
