"""Runs tests in several processes that share one collection: `pytest --processes 4`.

To collect ten thousand tests takes a quarter of a minute of processor time, and pytest-xdist does it once in
each of its processes. Here they are forked when all is collected. A process is given one group of tests after
another: those of a file, or of a folder whose tests share something that takes long to make.
"""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

# What a process sends with what it says: that it wants a group, what came of a test, what a test warned of.
_NEXT, _REPORT, _WARNING = "next", "report", "warning"


class Groups:
    """The tests by group: their places among all tests, in the order of these, given out one by one."""

    def __init__(self, items: Sequence[pytest.Item], together: Iterable[str]) -> None:
        """A group is the tests below a folder of `together`, which ends with `/`, or else those of a file."""
        folders = tuple(together)
        groups: dict[str, list[int]] = {}
        for place, item in enumerate(items):
            file = item.nodeid.partition("::")[0]
            groups.setdefault(next(filter(file.startswith, folders), file), []).append(place)
        self._waiting = deque(groups.values())

    def __len__(self) -> int:
        return len(self._waiting)

    def next(self) -> list[int]:
        """The next group; no tests if none is left."""
        return self._waiting.popleft() if self._waiting else []

    def clear(self) -> None:
        """Give out no more."""
        self._waiting.clear()


@dataclass
class _Fork:
    """A process as its parent sees it, and the tests that it was given and has not ended."""

    process: BaseProcess
    connection: Connection
    items: dict[str, pytest.Item] = field(default_factory=dict)


class Spread:
    """The plugin: in place of pytest's own loop over the tests."""

    def __init__(self, processes: int, together: Iterable[str]) -> None:
        self._processes = processes
        self._together = together
        self._names = (f"tests-{number}" for number in count())
        self._running: dict[Connection, _Fork] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run what is collected; pytest itself sees to tests that cannot be, or are only to be listed."""
        if session.testsfailed or session.config.option.collectonly:
            return None
        groups = Groups(session.items, self._together)
        for _ in range(min(self._processes, len(groups))):
            self._start(session)
        try:
            while self._running:
                for connection in wait(list(self._running)):
                    self._receive(session, groups, self._running[connection])
                if session.shouldfail or session.shouldstop:
                    groups.clear()
        finally:
            # An interrupt reaches all processes: each puts away what its tests have made.
            for fork in self._running.values():
                fork.connection.close()
                fork.process.join()
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        return True

    def _start(self, session: pytest.Session) -> None:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(
            target=_run, name=next(self._names), args=(session, theirs, [ours, *self._running])
        )
        process.start()
        theirs.close()
        self._running[ours] = _Fork(process, ours)

    def _receive(self, session: pytest.Session, groups: Groups, fork: _Fork) -> None:
        """Answer what a process asks, or pass on what it says."""
        try:
            kind, told = fork.connection.recv()
        except (EOFError, ConnectionResetError):
            self._ended(session, groups, fork)
            return
        hook = session.config.hook
        if kind == _NEXT:
            group = groups.next()
            fork.items |= {session.items[place].nodeid: session.items[place] for place in group}
            fork.connection.send(group)
        elif kind == _WARNING:
            hook.pytest_warning_recorded.call_historic(kwargs=told)
        else:
            report = hook.pytest_report_from_serializable(config=session.config, data=told)
            if report.when == "teardown":
                fork.items.pop(report.nodeid, None)
            hook.pytest_runtest_logreport(report=report)

    def _ended(self, session: pytest.Session, groups: Groups, fork: _Fork) -> None:
        """If a process ended too early, the tests that it was given have failed, and another one goes on."""
        del self._running[fork.connection]
        fork.connection.close()
        fork.process.join()
        if session.shouldfail or session.shouldstop or (fork.process.exitcode == 0 and not fork.items):
            return
        why = f"the process {fork.process.name} ended with {fork.process.exitcode} before its tests had ended"
        if not fork.items:
            session.shouldfail = why
        for item in fork.items.values():
            report = pytest.TestReport(item.nodeid, item.location, {}, "failed", why, "call")
            session.config.hook.pytest_runtest_logreport(report=report)
        if groups:
            self._start(session)


class _Telling:
    """The plugin of a forked process: tells its parent what pytest would tell a person."""

    def __init__(self, config: pytest.Config, parent: Connection) -> None:
        self._config = config
        self._parent = parent

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What came of a test, or of what it needs."""
        told = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._parent.send((_REPORT, told))

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: object
    ) -> None:
        """What a test warned of; the object that it is about, a socket perhaps, stays here."""
        told = (str(warning_message.message), warning_message.category)
        line = (warning_message.filename, warning_message.lineno)
        where = {"when": when, "nodeid": nodeid, "location": location}
        self._parent.send((_WARNING, {"warning_message": warnings.WarningMessage(*told, *line), **where}))


def _run(session: pytest.Session, parent: Connection, inherited: Iterable[Connection]) -> None:
    """Run one group after another: all that a forked process does."""
    # A connection ends when no process has its other end open any more.
    for connection in inherited:
        connection.close()
    _separate(session.config)
    session.config.pluginmanager.register(_Telling(session.config, parent))
    try:
        _run_groups(session, parent)
    except KeyboardInterrupt:
        sys.exit(2)
    finally:
        session._setupstate.teardown_exact(None)


def _run_groups(session: pytest.Session, parent: Connection) -> None:
    def ask() -> list[pytest.Item]:
        if session.shouldfail or session.shouldstop:
            return []
        parent.send((_NEXT, None))
        return [session.items[place] for place in parent.recv()]

    group = ask()
    while group:
        for item, following in pairwise(group):
            _run_one(session, item, following)
        # What the last test does not share with the one after it is put away: it must know of it.
        last, group = group[-1], ask()
        _run_one(session, last, group[0] if group else None)


def _run_one(session: pytest.Session, item: pytest.Item, following: pytest.Item | None) -> None:
    if not (session.shouldfail or session.shouldstop):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def _separate(config: pytest.Config) -> None:
    """Share nothing with other processes that two write to: the terminal, captured output, folders."""
    config.pluginmanager.unregister(name="terminalreporter")
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    capture.suspend_global_capture()
    folders: Any = config._tmp_path_factory  # type: ignore[attr-defined]
    folders._basetemp = folders.mktemp(multiprocessing.current_process().name, numbered=False)
