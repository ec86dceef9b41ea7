"""A backfill through Airflow on a warm stack, against DAGs of the same shape whose tasks do nothing."""

from __future__ import annotations

import subprocess
import time
from datetime import date, timedelta

from benchmarks.airflow_stack import airflow_stack, wait
from benchmarks.figure import ROUNDS, Figure, ratio_of_medians
from deploy.embedded import airflow, environment
from deploy.embedded.airflow_api import ENDED, AirflowApi
from deploy.embedded.stack import Stack
from evergreen.stages import NIGHTLY

PARTITIONS = 60
HISTORY = 90
LIMIT = 2


def measure() -> list[Figure]:
    """Seconds for 60 partitions of `bike_demand`, from ingest to monitor, over those for the empty DAGs.

    Both run in turn on one stack of their own, each round on the next 60 days; before, 90 days are ingested
    and a champion is trained, and each has one partition to warm up. Trainings stay paused.
    """
    spent: dict[str, list[float]] = {"noop": [], "bike_demand": []}
    with airflow_stack() as (stack, api):
        first = _history(stack)
        for number in range(ROUNDS + 1):
            count = PARTITIONS if number else 1
            for pipeline, seconds in spent.items():
                _ready(api, pipeline)
                began = time.perf_counter()
                _backfill(stack, api, pipeline, first, count)
                took = time.perf_counter() - began
                if number:
                    seconds.append(took)
                    print(f"  round {number}: {pipeline} {took:.1f} s", flush=True)
            first += timedelta(days=count)
    value = ratio_of_medians(spent["bike_demand"], spent["noop"])
    return [Figure(f"backfill of {PARTITIONS} partitions / the same DAGs doing nothing", value, "x", LIMIT)]


def _history(stack: Stack) -> date:
    """Ingest the history and train the champion that scores the rounds; returns the first day after."""
    from evergreen.ingestion.stage import ingest
    from evergreen.pipeline import Pipeline
    from evergreen.training.stage import train

    pipeline = Pipeline.open("bike_demand")
    start = pipeline.spec.start
    assert start is not None
    ingest(pipeline, [str(start + timedelta(days=n)) for n in range(HISTORY)])
    trained = train(pipeline, None, {"sentence": "the benchmark's champion"})
    assert trained.promoted, trained.verdict.sentence
    return start + timedelta(days=HISTORY)


def _ready(api: AirflowApi, pipeline: str) -> None:
    """Unpause the DAGs, and wait until Airflow has closed the backfill before, which it does now and then."""
    for dag_id in (stage.dag_id(pipeline) for stage in NIGHTLY):
        wait(lambda dag_id=dag_id: api.dag(dag_id) is not None)
        api.unpause(dag_id)
    wait(lambda: not api.open_backfills(f"{pipeline}_ingest"))


def _backfill(stack: Stack, api: AirflowApi, pipeline: str, first: date, count: int) -> None:
    dag_ids = [stage.dag_id(pipeline) for stage in NIGHTLY]
    before = {dag_id: api.count(dag_id, ENDED) for dag_id in dag_ids}
    last = first + timedelta(days=count - 1)
    create = ["backfill", "create", "--dag-id", dag_ids[0], "--max-active-runs", "4"]
    window = ["--from-date", str(first), "--to-date", f"{last}T23:59:59+00:00"]
    variables = environment.for_programs(environment.read(stack.home))
    command = [str(airflow.executable()), *create, *window]
    subprocess.run(command, env=variables, check=True, capture_output=True)
    for dag_id in dag_ids:
        wait(lambda dag_id=dag_id: api.count(dag_id, ENDED) >= before[dag_id] + count)
        failed = api.count(dag_id, ["failed"])
        assert not failed, f"{failed} runs of {dag_id} failed: see {stack.home.logs}"
