"""Airflow's local settings in the embedded stack, imported by every Airflow process.

LocalExecutor forks its tasks from the scheduler, a Celery worker from itself, and the DAG processor forks for
each reading of a DAG file: what these have imported, nobody imports again.
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

_OF_TASKS = (
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
_OF_DAG_FILES = (
    "evergreen_airflow.lifecycle",
    "evergreen_airflow.operators.approve",
    "evergreen_airflow.operators.retrain",
)


def dag_policy(dag: DAG) -> None:
    """Start no run by the clock of a DAG that `EVERGREEN_NIGHTS_HELD` names.

    `make load` and `make demo` write the file. Backfills and runs started by hand go on: an end of the DAG
    would end its tasks too, so that runs started by hand had none.
    """
    with suppress(KeyError, FileNotFoundError):
        if dag.dag_id in Path(os.environ["EVERGREEN_NIGHTS_HELD"]).read_text().split():
            dag.timetable = dag.timetable.held_back()


_PRELOADED = {"scheduler": _OF_TASKS, "celery": _OF_TASKS, "dag-processor": _OF_DAG_FILES}
"""The modules that a program imports as it starts."""


def _preload(program: str) -> None:
    for name in _PRELOADED.get(program, ()):
        with suppress(ImportError):
            importlib.import_module(name)


_preload("".join(sys.argv[1:2]))
