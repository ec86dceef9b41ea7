"""Airflow's local settings in the embedded stack, imported by every Airflow process.

LocalExecutor forks its tasks from the scheduler, a Celery worker from itself: what these have imported, no
task imports again.
"""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import suppress
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
    """Start no run by the clock of a DAG that `EVERGREEN_NIGHTS_HELD` names.

    `make load` and `make demo` write the file. Backfills and runs started by hand go on: an end of the DAG
    would end its tasks too, so that runs started by hand had none.
    """
    with suppress(KeyError, FileNotFoundError):
        if dag.dag_id in Path(os.environ["EVERGREEN_NIGHTS_HELD"]).read_text().split():
            dag.timetable = dag.timetable.held_back()


def _preload() -> None:
    for name in _PRELOADED:
        with suppress(ImportError):
            importlib.import_module(name)


if sys.argv[1:2] in (["scheduler"], ["celery"]):
    _preload()
