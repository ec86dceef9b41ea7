"""Airflow's REST API, as far as the demo needs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx

from deploy.embedded import airflow
from deploy.embedded.errors import StackError
from deploy.embedded.stack import Stack

ENDED = frozenset({"success", "failed"})
ACTIVE = ("queued", "running")


@dataclass(frozen=True)
class Run:
    """A DAG run: `state` is queued, running, success or failed; `note` says what came of it."""

    dag_id: str
    run_id: str
    state: str
    partition: str | None
    queued_at: str
    note: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it has finished, with success or failure."""
        return self.state in ENDED


class AirflowApi:
    """A logged-in session with an Airflow. Every call raises `StackError` where Airflow refuses."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        self._client = httpx.Client(base_url=url, timeout=60)
        answer = self._call("POST", "/auth/token", json={"username": user, "password": password})
        self._client.headers["Authorization"] = f"Bearer {answer['access_token']}"

    @classmethod
    def of(cls, stack: Stack) -> AirflowApi:
        """A session with the Airflow of the embedded stack."""
        return cls(airflow.url(stack.ports), airflow.ADMIN, stack.secrets.admin_password)

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """What Airflow knows of a DAG; None while it has not read its file."""
        return self._call("GET", f"/api/v2/dags/{dag_id}", absent=True) or None

    def import_errors(self) -> list[str]:
        """A line for each file that Airflow could not read."""
        errors = self._call("GET", "/api/v2/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in errors]

    def unpause(self, dag_id: str) -> None:
        """Let the DAG's runs start."""
        self._call("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def trigger(
        self,
        dag_id: str,
        partition: str | None = None,
        conf: dict[str, Any] | None = None,
        at: str | None = None,
    ) -> Run:
        """Start a manual run, for a partition if the DAG has partitions, with its own logical time."""
        body = {"logical_date": at, "partition_key": partition, "conf": conf or {}}
        return _run(self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body))

    def run(self, run: Run) -> Run:
        """The run as it is now."""
        return _run(self._call("GET", f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}"))

    def runs(self, dag_id: str, partition: str | None = None, limit: int = 100) -> list[Run]:
        """The newest runs of a DAG, newest first; only those of one partition if it is given."""
        query: dict[str, Any] = {"order_by": "-id", "limit": limit}
        if partition:
            query["partition_key_prefix_pattern"] = partition
        found = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=query)["dag_runs"]
        return [_run(each) for each in found]

    def count(self, dag_id: str, states: Iterable[str] = (), run_type: str | None = None) -> int:
        """How many runs a DAG has, in one of `states` and of one type where those are given."""
        query: dict[str, Any] = {"limit": 1, "state": list(states)}
        if run_type:
            query["run_type"] = run_type
        return int(self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=query)["total_entries"])

    def open_backfills(self, dag_id: str) -> int:
        """How many backfills of a DAG Airflow has not closed yet; it starts no other while one is open."""
        found = self._call("GET", "/api/v2/backfills", params={"dag_id": dag_id})["backfills"]
        return sum(each["completed_at"] is None for each in found)

    def tasks(self, run: Run) -> dict[str, str]:
        """The state of each task of a run."""
        return {each["task_id"]: each["state"] or "none" for each in self.task_instances(run)}

    def task_instances(self, run: Run) -> list[dict[str, Any]]:
        """What Airflow knows of each task of a run: its state, hostname, try_number and more."""
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances"
        found: list[dict[str, Any]] = self._call("GET", path)["task_instances"]
        return found

    def clear(self, run: Run) -> None:
        """Let all tasks of a run that has ended run again."""
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/clear"
        self._call("POST", path, json={"dry_run": False})

    def log(self, run: Run, task: str) -> list[str]:
        """The lines that the newest try of a task logged."""
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task}"
        number = self._call("GET", path)["try_number"]
        content = self._call("GET", f"{path}/logs/{number}", headers={"Accept": "application/json"})
        return [str(line.get("event", "")) if isinstance(line, dict) else line for line in content["content"]]

    def page(self, run: Run) -> str:
        """The address of the run in the UI."""
        return f"{self._url}/dags/{run.dag_id}/runs/{run.run_id}"

    def _call(self, method: str, path: str, absent: bool = False, **arguments: Any) -> Any:
        try:
            answer = self._client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise StackError(
                f"Airflow at {self._url} does not answer ({type(error).__name__}): run 'make up'"
            ) from None
        if absent and answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.is_error:
            raise StackError(
                f"Airflow refused {method} {path} ({answer.status_code}): {answer.text[:300]}: "
                "see the log api-server.log"
            )
        return answer.json()


def _run(answer: dict[str, Any]) -> Run:
    return Run(
        answer["dag_id"],
        answer["dag_run_id"],
        answer["state"],
        answer.get("partition_key"),
        answer.get("queued_at") or "",
        answer.get("note"),
    )
