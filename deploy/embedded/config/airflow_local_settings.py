"""Airflow's local settings in the embedded stack, imported by every Airflow process.

LocalExecutor forks its tasks from the scheduler: what the scheduler has imported, no task imports again.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import DAG

__all__ = ["dag_policy"]

_PRELOADED = (
    "adbc_driver_postgresql.dbapi",
    "boto3",
    "deltalake",
    "great_expectations",
    "httpx",
    "optuna",
    "pandas",
    "pyarrow.dataset",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "skops.io",
    "airflow.sdk.execution_time.task_runner",
    "airflow.providers.standard.operators.trigger_dagrun",
)


def dag_policy(dag: DAG) -> None:
    """End the nightly schedule where the source ends.

    A file with the source's last night (`EVERGREEN_NIGHTS_UNTIL`, written by `make load` and `make demo`)
    holds back the nights after it, which would find no data. Backfills and runs started by hand go on.
    """
    from evergreen_airflow.timetable import PartitionTimetable

    if isinstance(dag.timetable, PartitionTimetable):
        with suppress(KeyError, FileNotFoundError, ValueError):
            path = Path(os.environ["EVERGREEN_NIGHTS_UNTIL"])
            dag.end_date = datetime.fromisoformat(json.loads(path.read_text())["until"])


def _preload() -> None:
    for name in _PRELOADED:
        with suppress(ImportError):
            importlib.import_module(name)


if sys.argv[1:2] == ["scheduler"]:
    _preload()
