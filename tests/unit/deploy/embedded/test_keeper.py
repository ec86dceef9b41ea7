from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

import psutil

from deploy.embedded import lock, processes
from deploy.embedded.home import Home
from deploy.embedded.keeper import Keeper
from deploy.embedded.processes import Service

LASTING = "import time; time.sleep(60)"
FAILING = "raise SystemExit('the disk is full')"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def service(program: str) -> Service:
    return Service("thing", [sys.executable, "-S", "-c", program], {"PATH": os.environ["PATH"]})


def keeper_of(home: Home, each: Service, clock: Callable[[], float] = time.monotonic) -> Keeper:
    return Keeper(home, lambda name: processes.start(home, each), clock)


def killed(home: Home) -> psutil.Process:
    """The service's process, after it was killed."""
    found = processes.find(home, "thing")
    assert found is not None
    found.kill()
    ended(home)
    return found


def ended(home: Home) -> None:
    until(lambda: processes.find(home, "thing") is None)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_was_killed_is_started_again_and_what_was_stopped_is_not(home: Home) -> None:
    lasting = service(LASTING)
    keeper = keeper_of(home, lasting)
    processes.start(home, lasting)
    assert keeper.look() == []
    before = killed(home)
    assert keeper.look() == ["thing"]
    assert processes.find(home, "thing") not in (None, before)
    processes.stop(home, "thing", signal.SIGKILL)
    assert keeper.look() == []
    assert processes.find(home, "thing") is None


def test_nothing_is_started_while_the_stack_is_changed(home: Home) -> None:
    lasting = service(LASTING)
    keeper = keeper_of(home, lasting)
    processes.start(home, lasting)
    killed(home)
    with lock.held(home):
        assert keeper.look() == []
    assert keeper.look() == ["thing"]


def test_what_keeps_ending_is_started_again_later_each_time(home: Home) -> None:
    clock = Clock()
    failing = service(FAILING)
    keeper = keeper_of(home, failing, clock)
    processes.start(home, failing)
    begun = []
    while len(begun) < 5:
        ended(home)
        if keeper.look():
            begun.append(clock.now)
        else:
            clock.now += 1
    assert begun == [0, 1, 3, 7, 15]
    ended(home)
    clock.now += 31
    assert keeper.look() == ["thing"], "it ran for more than half a minute"
