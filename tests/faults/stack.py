"""Takes away the programs of an embedded stack while it works, as machines and networks do."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from deploy.embedded import airflow, environment, postgres, processes, redis, s3, serving, weather
from deploy.embedded.processes import Service
from deploy.embedded.stack import Stack, start_missing

GONE = 20.0  # seconds without S3
KINDS = ("Redis restarted", "PostgreSQL restarted", "S3 gone", "scheduler killed")


class Chaos:
    """While it is entered, kills a worker every `every` seconds and takes each other program away in turn.

    What ends is started again at once, as a container engine does, but for S3, which is gone for a while.
    `counts` says what was done, over all times that it was entered.
    """

    def __init__(self, stack: Stack, seed: int, every: float = 20.0, between: float = 30.0) -> None:
        self.counts: Counter[str] = Counter()
        self._stack = stack
        self._services = {service.name: service for service in _services(stack)}
        self._every, self._between = every, between
        self._draw = random.Random(seed)
        self._workers: list[str] = []
        self._faults: list[str] = []

    def __enter__(self) -> Self:
        self._stopped = threading.Event()
        self._thread = ThreadPoolExecutor(1)
        self._injuries = self._thread.submit(self._injure)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.shutdown()
        if error is None:
            self._injuries.result()
            self._revive()

    def _injure(self) -> None:
        killed = injured = time.monotonic()
        while not self._stopped.wait(1.0):
            now = time.monotonic()
            if now - killed >= self._every:
                killed = now
                self._kill_a_worker()
            if now - injured >= self._between:
                injured = now
                self._one_fault()
            self._revive()

    def _kill_a_worker(self) -> None:
        self._workers = self._workers or self._shuffled(self._stack.executor.queues)
        self._kill(self._workers.pop())
        self.counts["workers killed"] += 1

    def _one_fault(self) -> None:
        self._faults = self._faults or self._shuffled(KINDS)
        fault = self._faults.pop()
        match fault:
            case "Redis restarted":
                self._kill(redis.NAME)
            case "PostgreSQL restarted":
                processes.stop(self._stack.home, postgres.NAME, signal.SIGINT)
            case "S3 gone":
                processes.stop(self._stack.home, s3.NAME)
                self._stopped.wait(GONE)
            case "scheduler killed":
                self._kill("scheduler")
        self.counts[fault] += 1

    def _kill(self, name: str) -> None:
        """End a program and all its children at once, as the loss of its machine does."""
        for process in processes.leftovers(self._stack.home, name):
            process.kill()

    def _revive(self) -> None:
        for service in self._services.values():
            if processes.find(self._stack.home, service.name) is None:
                processes.stop(self._stack.home, service.name)
                start_missing(self._stack.home, [service], say=lambda text: None)
                self.counts["programs started again"] += 1

    def _shuffled(self, names: Iterable[str]) -> list[str]:
        drawn = sorted(names)
        self._draw.shuffle(drawn)
        return drawn


def _services(stack: Stack) -> list[Service]:
    """All programs of the stack, those that others need first."""
    home, ports, secrets = stack.home, stack.ports, stack.secrets
    programs = environment.for_programs(environment.read(home))
    return [
        postgres.service(home, ports),
        s3.service(home, ports, secrets),
        redis.service(home, ports, secrets),
        *weather.services(home, ports, secrets),
        *airflow.services(programs, ports, stack.executor),
        serving.service(programs, ports),
    ]
