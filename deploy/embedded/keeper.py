"""Starts again what ends of a running stack, as a container engine does.

A program that is stopped on purpose has no record any more, so it stays as it is.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psutil

from deploy.embedded import lock, processes
from deploy.embedded.environment import for_programs
from deploy.embedded.errors import StackError
from deploy.embedded.home import REPOSITORY, Home
from deploy.embedded.processes import Service

NAME = "keeper"
_EVERY = 1.0
_SHORT = 30.0
_LONGEST_PAUSE = 60.0


def service(home: Home) -> Service:
    """The keeper as a program of the stack, the last to start and the first to stop."""
    return Service(
        name=NAME,
        command=[sys.executable, "-m", "deploy.embedded", "keep"],
        environment=for_programs({"PYTHONPATH": str(REPOSITORY), "EVERGREEN_HOME": str(home.root)}),
        grace=5.0,
    )


class Keeper:
    """Has `start_again` start the programs that have ended: at once, and later each time one keeps ending.

    A program that ended within half a minute waits for 1 s, then 2, 4 and so on, for a minute at most.
    """

    def __init__(
        self, home: Home, start_again: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._home, self._start_again, self._clock = home, start_again, clock
        self._started: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._due: dict[str, float] = {}

    def look(self) -> list[str]:
        """Start what has ended and is due; returns the names. Does nothing while the stack is changed."""
        if not processes.ended(self._home):
            return []
        with lock.held_if_free(self._home) as free:
            due = [name for name in processes.ended(self._home) if self._is_due(name)] if free else []
            for name in due:
                _log(f"{name} has ended and is started again: {processes.explain(self._home, name)}")
                self._started[name] = self._clock()
                del self._due[name]
                self._start_again(name)
            return due

    def _is_due(self, name: str) -> bool:
        now = self._clock()
        if name not in self._due:
            short = now - self._started.get(name, -math.inf) < _SHORT
            pause = min(_LONGEST_PAUSE, 2 * self._pauses.get(name, 0.0) or 1.0) if short else 0.0
            self._pauses[name], self._due[name] = pause, now + pause
        return now >= self._due[name]


def keep(home: Home, start_again: Callable[[str], None]) -> None:
    """Look after the stack in `home` as long as that is there; what cannot be started is tried again."""
    keeper = Keeper(home, start_again)
    while home.run.exists():
        try:
            keeper.look()
        except (StackError, OSError, psutil.Error) as error:
            _log(str(error))
        time.sleep(_EVERY)


def _log(text: str) -> None:
    print(f"{datetime.now(tz=UTC).isoformat(timespec='seconds')} {text}", flush=True)
