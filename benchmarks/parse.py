"""How long a DAG file takes to parse with all pipelines, against one that holds an empty DAG."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figure import ROUNDS, Figure, ratio_of_medians
from evergreen.stages import STAGES

REPOSITORY = Path(__file__).resolve().parents[1]
EMPTY = "from airflow.sdk import DAG\n\nwith DAG('empty', schedule=None):\n    pass\n"
PARSE = """
import sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
assert bag.dags and not bag.import_errors, bag.import_errors
"""


def measure() -> list[Figure]:
    """One figure a DAG file: the time of a fresh interpreter that parses it, over that for the empty one."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY)
        files = [REPOSITORY / "dags" / f"{stage}.py" for stage in STAGES if not stage.optional]
        seconds: dict[Path, list[float]] = {file: [] for file in (empty, *files)}
        for _ in range(ROUNDS):
            for file, spent in seconds.items():
                spent.append(_process_seconds(file, folder))
    return [
        Figure(
            f"parse dags/{file.name} / an empty DAG file",
            ratio_of_medians(seconds[file], seconds[empty]),
            "x",
            2,
        )
        for file in files
    ]


def _process_seconds(file: Path, home: str) -> float:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
    }
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", PARSE, str(file)], env=environment, check=True, capture_output=True)
    return time.perf_counter() - began
