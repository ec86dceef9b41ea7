"""How long a DAG file takes to parse, against one that holds an empty DAG, and with many pipelines."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figure import ROUNDS, Figure, ratio_of_medians
from evergreen.stages import STAGES

REPOSITORY = Path(__file__).resolve().parents[1]
EMPTY = "from airflow.sdk import DAG\n\nwith DAG('empty', schedule=None):\n    pass\n"
PARSE = """
import resource, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
assert bag.dags and not bag.import_errors, bag.import_errors
assert len(bag.dags) == int(sys.argv[2] or len(bag.dags)), len(bag.dags)
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
"""
COPIED = "bike_demand"
"""The pipeline with the most sources and tasks of those in the repository."""

COUNTS = (1, 10, 100, 500)
LIMIT = 2
EACH_LIMIT = 4  # ms
LINEAR_LIMIT = 1.25


def measure() -> list[Figure]:
    """Figures of each DAG file, in seconds of the processor that a fresh interpreter uses to parse it.

    One is that with the repository's pipelines over that for an empty file; one what each of 500 copies of a
    pipeline adds to the first. For all files together, what each pipeline from 100 to 500 adds over what each
    of the first 100 does.
    """
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY)
        files = [REPOSITORY / "dags" / f"{stage}.py" for stage in STAGES if not stage.optional]
        pipelines = {count: _copies(Path(folder) / str(count), count) for count in COUNTS}
        seconds: dict[Path, list[float]] = {file: [] for file in (empty, *files)}
        many: dict[Path, dict[int, list[float]]] = {file: {count: [] for count in COUNTS} for file in files}
        for number in range(ROUNDS):
            for file, spent in seconds.items():
                spent.append(_seconds(file, folder))
            for file, by_count in many.items():
                for count, spent in by_count.items():
                    spent.append(_seconds(file, folder, pipelines[count], count))
            print(f"  round {number + 1}: {_told(many)}", flush=True)
    return [
        *(
            Figure(
                f"parse dags/{file.name} / an empty DAG file",
                ratio_of_medians(seconds[file], seconds[empty]),
                "x",
                LIMIT,
            )
            for file in files
        ),
        *(
            Figure(f"parse dags/{file.name}, each of {COUNTS[-1]} pipelines", each, "ms", EACH_LIMIT)
            for file in files
            for each in [1000 * _each([many[file]], COUNTS[0], COUNTS[-1])]
        ),
        Figure(
            f"parse dags/, each pipeline up to {COUNTS[-1]} / up to {COUNTS[-2]}",
            _each([*many.values()], *COUNTS[-2:]) / _each([*many.values()], COUNTS[0], COUNTS[-2]),
            "x",
            LINEAR_LIMIT,
        ),
    ]


def _each(files: Sequence[Mapping[int, Sequence[float]]], first: int, last: int) -> float:
    """The seconds that each pipeline between two counts adds, in all of these files."""
    added = sum(statistics.median(found[last]) - statistics.median(found[first]) for found in files)
    return added / (last - first)


def _told(many: Mapping[Path, Mapping[int, Sequence[float]]]) -> str:
    return "; ".join(
        f"{file.name} " + ", ".join(f"{count}: {found[-1]:.2f} s" for count, found in by_count.items())
        for file, by_count in many.items()
    )


def _copies(folder: Path, count: int) -> Path:
    source = REPOSITORY / "include" / "pipelines" / COPIED
    for number in range(count):
        name = f"{COPIED}_{number:03d}"
        shutil.copytree(source, folder / name)
        file = folder / name / "pipeline.yaml"
        file.write_text(file.read_text().replace(f"name: {COPIED}", f"name: {name}"))
    return folder


def _seconds(file: Path, home: str, pipelines: Path | None = None, count: int | None = None) -> float:
    """Seconds of the processor; with `pipelines`, of this folder, there must be `count` DAGs."""
    environment = {
        **os.environ,
        **({"EVERGREEN_PIPELINES": str(pipelines)} if pipelines else {}),
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
    command = [sys.executable, "-c", PARSE, str(file), str(count or "")]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])
