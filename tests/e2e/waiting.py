"""Waiting for a running Airflow."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from deploy.embedded.airflow_api import AirflowApi


def wait_for(ready: Callable[[], object], what: str, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(1)  # each look is work for Airflow, which has enough


def read_again(airflow: AirflowApi, dag_id: str) -> None:
    """Let Airflow read the file of a DAG again, with what lies there now.

    Of two readings that end after this, the second began after it.
    """

    def found() -> dict[str, Any]:
        wait_for(lambda: airflow.dag(dag_id), f"Airflow to read {dag_id}")
        return airflow.dag(dag_id) or {}

    for _ in range(2):
        before = found()
        airflow._call("PUT", f"/api/v2/parseDagFile/{before['file_token']}")
        wait_for(
            lambda before=before: found()["last_parsed_time"] != before["last_parsed_time"],
            f"Airflow to read {dag_id} again",
        )
