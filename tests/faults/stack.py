"""Takes away the programs of an embedded stack while it works, as machines and networks do."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from deploy.embedded import airflow, executor, postgres, processes, redis, s3
from deploy.embedded.stack import Stack, start_missing

GONE = 20.0  # seconds without S3
KINDS = ("Redis killed", "PostgreSQL restarted", "S3 gone", "scheduler killed")
WORKERS = "workers killed"


class Chaos:
    """While it is entered, kills one worker after the other and takes each other program away in turn.

    A worker is killed `every` seconds after the one before it has answered again, and another program is
    taken away `between` seconds after all of Airflow have reported: a machine that takes long to start a
    program would otherwise start programs and do nothing else. What ends is started again by the stack's
    keeper, but for S3, which is gone for a while. `counts` says what was done, over all times that it was
    entered, and `seconds` how long these took.
    """

    def __init__(self, stack: Stack, seed: int, every: float = 20.0, between: float = 60.0) -> None:
        self.counts: Counter[str] = Counter()
        self.seconds = 0.0
        self.stack = stack
        self._every, self._between = every, between
        self._draw = random.Random(seed)
        self._workers: list[str] = []
        self._killed = ""
        self._taken = datetime.now(tz=UTC)
        self._faults: list[str] = []

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._stopped = threading.Event()
        self._threads = ThreadPoolExecutor(2)
        self._injuries = [self._threads.submit(self._kill_workers), self._threads.submit(self._take_away)]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._threads.shutdown()
        self.seconds += time.monotonic() - self._began
        if error is None:
            for injuries in self._injuries:
                injuries.result()

    def _kill_workers(self) -> None:
        while self._wait(self._answers) and not self._stopped.wait(self._every):
            self._workers = self._workers or self._shuffled(self.stack.executor.queues)
            self._killed = self._workers.pop()
            self._kill(self._killed)
            self.counts[WORKERS] += 1

    def _take_away(self) -> None:
        while self._wait(self._reports) and not self._stopped.wait(self._between):
            self._faults = self._faults or self._shuffled(KINDS)
            fault = self._faults.pop()
            match fault:
                case "Redis killed":
                    self._kill(redis.NAME)
                case "PostgreSQL restarted":
                    self._signal(postgres.NAME, signal.SIGINT)
                case "S3 gone":
                    self._without_s3()
                case "scheduler killed":
                    self._kill("scheduler")
            self.counts[fault] += 1
            self._taken = datetime.now(tz=UTC)

    def _reports(self) -> bool:
        """Whether all of Airflow's programs are at work since one was taken away last."""
        return not airflow.silent(self.stack.ports, self._taken)

    def _answers(self) -> bool:
        """Whether the worker that was killed last is there again."""
        return not self._killed or self._killed in executor.answering(self.stack.ports, self.stack.secrets)

    def _wait(self, ready: Callable[[], bool]) -> bool:
        """Wait until something is so; False if the chaos is over before that."""
        while not ready():
            if self._stopped.wait(1.0):
                return False
        return True

    def _kill(self, name: str) -> None:
        """End a program and all its children at once, as the loss of its machine does."""
        for process in processes.leftovers(self.stack.home, name):
            process.kill()

    def _signal(self, name: str, number: signal.Signals) -> None:
        if process := processes.find(self.stack.home, name):
            process.send_signal(number)

    def _without_s3(self) -> None:
        """Stopped on purpose, it is not started again by the keeper."""
        home = self.stack.home
        processes.stop(home, s3.NAME)
        self._stopped.wait(GONE)
        start_missing(home, [s3.service(home, self.stack.ports, self.stack.secrets)], say=lambda text: None)

    def _shuffled(self, names: Iterable[str]) -> list[str]:
        drawn = sorted(names)
        self._draw.shuffle(drawn)
        return drawn
