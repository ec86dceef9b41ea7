"""A long history loaded at once: 731 partitions of `bike_demand`, validated and published."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from datetime import timedelta

from benchmarks.airflow_stack import REPOSITORY, airflow_stack, wait
from benchmarks.figure import ROUNDS, Figure
from deploy.embedded.airflow_api import AirflowApi
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.storage import Storage

PARTITIONS = 731
LIMIT = 90
NAME = "bike_demand"


def measure() -> list[Figure]:
    """Seconds of the shell's command and of one run of the DAG, each into an empty lake.

    The command is a process of its own, imports included; the run is counted from its trigger to its end.
    The two lakes must then hold the same rows.
    """
    shell: list[float] = []
    dag: list[float] = []
    with airflow_stack() as (_, api):
        start = Pipeline.open(NAME).spec.start
        assert start is not None
        first, last = str(start), str(start + timedelta(days=PARTITIONS - 1))
        wait(lambda: api.dag(f"{NAME}_ingest") is not None)
        api.unpause(f"{NAME}_ingest")
        for number in range(1, ROUNDS + 1):
            _empty()
            shell.append(_shell(first, last))
            by_shell = _rows(first, last)
            _empty()
            dag.append(_dag(api, first, last))
            assert _rows(first, last) == by_shell, "the run of the DAG published other rows"
            print(f"  round {number}: shell {shell[-1]:.1f} s, DAG {dag[-1]:.1f} s", flush=True)
    return [
        Figure(f"{PARTITIONS} partitions by evergreen ingest", statistics.median(shell), "s", LIMIT),
        Figure(f"{PARTITIONS} partitions by one run of the DAG", statistics.median(dag), "s", LIMIT),
    ]


def _shell(first: str, last: str) -> float:
    command = [str(REPOSITORY / ".venv" / "bin" / "evergreen"), "ingest", NAME, "--json"]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--partition", first, "--to", last], check=True, stdout=subprocess.PIPE, stderr=sys.stderr
    )
    spent = time.perf_counter() - began
    published = json.loads(done.stdout)["partitions"]
    assert len(published) == PARTITIONS, len(published)
    return spent


def _dag(api: AirflowApi, first: str, last: str) -> float:
    began = time.perf_counter()
    run = api.trigger(f"{NAME}_ingest", conf={"partition": first, "to": last})
    wait(lambda: api.run(run).ended)
    spent = time.perf_counter() - began
    assert api.run(run).state == "success", f"{api.run(run)} {api.tasks(run)}"
    return spent


def _empty() -> None:
    Storage.open().delete_all(f"{NAME}/lake/")


def _rows(first: str, last: str) -> dict[str, str]:
    """The digest of each published partition's rows: its file's name."""
    there = Pipeline.open(NAME).lake.files(Table.PARTITIONS)
    # Airflow may have run last night's too, which the DAG was unpaused for.
    files = {key: name for key, name in there.items() if first <= key <= last}
    assert len(files) == PARTITIONS, len(files)
    return files
