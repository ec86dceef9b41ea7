"""Who runs the stack's tasks: the scheduler itself (LocalExecutor), or Celery workers beside it.

A stack on Celery has `workers` workers for the nights and one more for the trainings, each with its queue.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from deploy.embedded import processes, redis
from deploy.embedded.errors import StackError
from deploy.embedded.home import Home, Ports, write_atomically
from deploy.embedded.secrets import Secrets
from evergreen.stages import TRAIN

_CLASSES = {"local": "LocalExecutor", "celery": "CeleryExecutor"}
_VARIABLE = "AIRFLOW__CORE__EXECUTOR"
_PREFIX = "worker-"
_NIGHTS = "default"
"""Airflow's name for the queue of every task that names none."""

# The keys to Airflow itself: a task speaks to the api-server with a token of its own.
_CONTROL = (
    "AIRFLOW__DATABASE__",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API_AUTH__",
    "AIRFLOW__API__SECRET_KEY",
)

LOST_AFTER = 60
"""Seconds without a sign of life after which a task counts as lost, and is tried again."""
_LOST_TASKS = {
    "task_instance_heartbeat_timeout": LOST_AFTER,
    "task_instance_heartbeat_timeout_detection_interval": 5,
    # What a scheduler had in hand when it was killed.
    "orphaned_tasks_check_interval": 30,
}
_LONGEST_TRY = 2 * 3600  # `execution_timeout` of every task


def slots() -> int:
    """How many tasks a worker runs at once; as many tasks of trainings run at once in the whole stack."""
    return max(2, os.cpu_count() or 1)


@dataclass(frozen=True)
class Executor:
    """`workers`: the number of Celery workers for nights; with none the scheduler runs all tasks itself."""

    workers: int = 0

    def __str__(self) -> str:
        return f"CeleryExecutor with WORKERS={self.workers}" if self.workers else "LocalExecutor"

    @property
    def queues(self) -> dict[str, str]:
        """The queue of each worker, by the worker's name."""
        if not self.workers:
            return {}
        nights = {f"{_PREFIX}{number}": _NIGHTS for number in range(1, self.workers + 1)}
        return {**nights, f"{_PREFIX}{TRAIN.queue}": TRAIN.queue}

    @classmethod
    def saved(cls, home: Home) -> Executor:
        """That of the last `up`."""
        try:
            return cls(**json.loads(home.executor_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return LOCAL

    def save(self, home: Home) -> None:
        """Keep it for the commands that follow."""
        write_atomically(home.executor_file, json.dumps(asdict(self)))


LOCAL = Executor()


def asked(
    executor: str, workers: str, last: Executor, environment: Mapping[str, str] = os.environ
) -> Executor | None:
    """The executor that EXECUTOR (or `AIRFLOW__CORE__EXECUTOR`) and WORKERS ask for; None if nothing does.

    Celery without a number of workers has as many as that of the `last` start. Raises `StackError` for an
    executor that the embedded stack does not have, and for a wrong number of workers.
    """
    variable, text = ("EXECUTOR", executor) if executor else (_VARIABLE, environment.get(_VARIABLE, ""))
    names = {name: short for short, full in _CLASSES.items() for name in (short, full)}
    if text and text not in names:
        raise StackError(
            f"{variable} is '{text}', and the embedded stack has LocalExecutor and CeleryExecutor: set it to "
            "'local' or 'celery'" + ("" if executor else f", or unset {_VARIABLE}")
        )
    if names.get(text) != "celery":
        if workers:
            raise StackError("WORKERS is the number of Celery workers: set EXECUTOR=celery too")
        return LOCAL if text else None
    if workers and not (workers.isdecimal() and 0 < int(workers) < 65):
        raise StackError(f"WORKERS is '{workers}': set it to a number from 1 to 64")
    return Executor(int(workers) if workers else last.workers or 1)


def settings(executor: Executor, ports: Ports, secrets: Secrets) -> dict[str, dict[str, object]]:
    """Airflow's options, by section, that make `executor` run the tasks."""
    if not executor.workers:
        return {
            "core": {"executor": _CLASSES["local"], "parallelism": 2 * slots()},
            "scheduler": dict(_LOST_TASKS),
        }
    return {
        # No more than the workers can begin at once: so a message that waits was lost with its worker.
        "core": {"executor": _CLASSES["celery"], "parallelism": slots() * len(executor.queues)},
        "celery": {
            "broker_url": redis.url(ports, secrets, 0),
            "result_backend": redis.url(ports, secrets, 1),
            "worker_concurrency": slots(),
            # A broker that is away for a minute costs no task a try: a message is offered until it is taken.
            "operation_timeout": 5,
            "task_publish_max_retries": 20,
            "extra_celery_config": json.dumps({"task_publish_retry_policy": {"max_retries": None}}),
        },
        # Longer than any try of a task, which would otherwise be handed to a second worker.
        "celery_broker_transport_options": {"visibility_timeout": _LONGEST_TRY + 600},
        "scheduler": {
            **_LOST_TASKS,
            "task_queued_timeout": 2 * LOST_AFTER,
            "task_queued_timeout_check_interval": 10,
        },
    }


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker knows: storage and connections, and none of the keys to Airflow itself."""
    return {name: value for name, value in environment.items() if not name.startswith(_CONTROL)}


def wait_until_ready(
    executor: Executor, home: Home, ports: Ports, secrets: Secrets, timeout: float = 180
) -> None:
    """Wait until all workers answer; raises `StackError` if one ends or `timeout` seconds pass first."""
    if not executor.workers:
        return
    deadline = time.monotonic() + timeout
    while silent := set(executor.queues) - answering(ports, secrets):
        for name in silent:
            if processes.find(home, name) is None:
                raise StackError(f"{name} ended while starting: {processes.explain(home, name)}")
        if time.monotonic() > deadline:
            raise StackError(
                f"no answer of {', '.join(sorted(silent))} after {timeout:.0f} s: see {home.logs}"
            )


def started_workers(home: Home) -> list[str]:
    """The names of the workers that were started here, running or not."""
    return [name for name in processes.started(home) if name.startswith(_PREFIX)]


def answering(ports: Ports, secrets: Secrets) -> set[str]:
    """The names of the workers that answer within a second; none while the broker is away."""
    with Celery(broker=redis.url(ports, secrets, 0), set_as_current=False) as app:
        try:
            answers = app.control.ping(timeout=1.0)
        except (OperationalError, RedisError):
            return set()
    return {node.partition("@")[2] or node for answer in answers for node in answer}
