"""Several servers on one port, each a process: one that dies is replaced while the others answer.

They are forked from this process, which listens for all of them, takes no connections itself, and touches no
storage. What waits for a connection waits for all of them: the death of one loses nothing but what it was
answering.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from pathlib import Path

from evergreen.pipeline import Pipeline
from evergreen.serving.listening import Settings
from evergreen.serving.told import Pipelines
from evergreen.serving.worker import Worker, any_has_looked, forget

_log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LEAST = 1.0
"""Seconds between two starts of the same worker: one that dies at once must not take a core."""

_SHORT = 0.1
"""Seconds between two looks at whether a worker may be started."""

_AFTER = 5.0
"""Seconds after those that requests, and then their log, have to end: by then a worker must have ended."""


class Workers:
    """`count` servers that answer for pipelines where `listener` listens, until SIGTERM or SIGINT."""

    def __init__(
        self,
        pipelines: Sequence[Pipeline],
        settings: Settings,
        listener: socket.socket,
        count: int,
        alert: Callable[[Sequence[Pipelines]], None] | None = None,
    ) -> None:
        self._pipelines, self._settings, self._listener, self._count = pipelines, settings, listener, count
        self._alert = alert
        self._running: dict[int, ForkProcess] = {}
        self._started: dict[int, float] = {}
        self._ended, self._end = os.pipe()
        # Nobody writes into it: it ends with this process, however that ends, and the workers with it.
        self._lives, self._life = os.pipe()

    def run(self) -> None:
        """Keep all of them running until a signal comes; none is left behind."""
        with _folder() as folder, self._ended_by_signals():
            # Imported once for all workers, and not before the folder's name is set, which it reads.
            import evergreen.serving.server  # noqa: F401

            try:
                self._start_missing(folder)
                while self._ended not in (ready := self._wait()):
                    self._replace(ready, folder)
                    self._start_missing(folder)
            finally:
                self._stop()

    def _start_missing(self, folder: Path) -> None:
        """Start the workers that do not run: one, and once it has looked at the champions, the others."""
        for number in range(self._count) if any_has_looked(folder) else (0,):
            recently = time.monotonic() - self._started.get(number, float("-inf")) < _LEAST
            if number not in self._running and not recently:
                self._start(Worker(folder, number, self._count, first=not self._running))

    def _start(self, worker: Worker) -> None:
        process = multiprocessing.get_context("fork").Process(target=self._work, args=(worker,))
        # The new process must not take a signal before it listens to its own.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._running[worker.number], self._started[worker.number] = process, time.monotonic()

    def _work(self, worker: Worker) -> None:
        """Serve, in the worker's own process, which with those that it starts is a group of its own."""
        from evergreen.serving.server import Server

        os.setpgid(0, 0)
        os.close(self._life)
        server = Server(self._pipelines, self._settings, self._listener, worker, self._alert)
        threading.Thread(target=_end_with, args=(self._lives, server.stop), daemon=True).start()
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        server.run()

    def _wait(self) -> list[object]:
        """What is ready: `_ended` when a signal came, and the sentinels of dead workers."""
        sentinels = [process.sentinel for process in self._running.values()]
        until = None if len(sentinels) == self._count else _SHORT
        return list(wait([self._ended, *sentinels], until))

    def _replace(self, ready: Container[object], folder: Path) -> None:
        for number, process in list(self._running.items()):
            if process.sentinel in ready:
                _bury(process)
                forget(folder, number)
                del self._running[number]
                _log.error("worker %d ended (%s): another takes its place", number, _how(process.exitcode))

    def _stop(self) -> None:
        """End all workers; those that have not ended in time are killed."""
        self._listener.close()
        left = {process.sentinel for process in self._running.values()}
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + 2 * self._settings.ending + _AFTER
        while left and time.monotonic() < deadline:
            left -= set(wait(left, _SHORT))
        for process in self._running.values():
            _bury(process)

    @contextmanager
    def _ended_by_signals(self) -> Iterator[None]:
        before = {one: signal.signal(one, lambda *_: os.write(self._end, b".")) for one in _SIGNALS}
        try:
            yield
        finally:
            for one, listening_before in before.items():
                signal.signal(one, listening_before)


@contextmanager
def _folder() -> Iterator[Path]:
    """The folder that workers share, also for their figures."""
    with tempfile.TemporaryDirectory(prefix="evergreen-serving-") as made:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = made
        try:
            yield Path(made)
        finally:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]


def _end_with(lives: int, stop: Callable[[], None]) -> None:
    """Stop as soon as nobody holds the other end of the pipe."""
    os.read(lives, 1)
    stop()


def _bury(process: ForkProcess) -> None:
    """End the worker and what it has started, which may still check a version."""
    assert process.pid is not None
    # Until it is joined, no other process can have its number.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.join()


def _how(code: int | None) -> str:
    return f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with code {code}"
