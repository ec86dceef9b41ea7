"""Cells: processes that compute one item after the other, whose death is an outcome like another.

Whatever an item does (ends its process, takes all memory, never ends), it does to its cell alone. A worker of
Dask or Spark computes in cells too, so an item never takes a worker with it, nor the items beside it.

Cells are forked from a template that has imported the libraries: importing takes seconds, forking
milliseconds. The template ends with the process that has started it, and its cells with the template.
"""

from __future__ import annotations

import atexit
import importlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from evergreen.compute.choice import LOCAL, VARIABLE
from evergreen.compute.steps import Told, telling
from evergreen.compute.task import How, Outcome, Task, outcome_of

GRACE = 60.0  # seconds in which a cell that has had its time must be gone

_LIBRARIES = ("boto3", "deltalake", "pandas", "pyarrow.parquet", "sklearn.ensemble", "skops.io")
_INCLUDE = Path(__file__).resolve().parents[2]
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_NUMBER = struct.Struct("<q")  # the id of a process, how one ended, or _NEW
_NEW = 0


class Cell:
    """A process that computes items of one task; begun by the first of them, and anew after a death."""

    def __init__(self, task: bytes) -> None:
        self._task = task
        self._calls: Connection | None = None
        self._pid = 0

    def call(self, item: bytes, seconds: float, told: Told) -> Outcome:
        """What comes of a pickled item, which may take so many seconds, with the preparations."""
        try:
            calls = self._begun()
            calls.send((item, seconds))
            while calls.poll(seconds + GRACE):
                kind, content = calls.recv()
                if kind != "step":
                    return Outcome(How(kind), content)
                told(*content)
        except (EOFError, OSError):
            pass
        return Outcome(How.DIED, _in_words(self.close(), seconds))

    def _begun(self) -> Connection:
        if self._calls is None:
            ours, theirs = socket.socketpair()
            with theirs:
                self._pid = _template().begin(theirs)
            self._calls = Connection(ours.detach())
            self._calls.send((self._task, dict(os.environ), sys.path))
        return self._calls

    def close(self) -> int:
        """End it, at once; returns how it had ended, as a code of `os.waitstatus_to_exitcode`."""
        if self._calls is None:
            return 0
        self._calls.close()
        self._calls = None
        return _template().end(self._pid)


def _in_words(code: int, seconds: float) -> str:
    if code == -signal.SIGALRM:
        return f"took longer than {seconds:g} s"
    if code == -signal.SIGKILL:
        return "was killed from outside (out of memory?)"
    return f"ended its process with code {code}"


class _Template:
    """The running template of the process `owner`."""

    def __init__(self, owner: int) -> None:
        self.owner = owner
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        paths = [str(_INCLUDE), *filter(None, [os.environ.get("PYTHONPATH")])]
        # Where others take the cores, threads that spin while they wait take a hundred times the work's time.
        variables = {"OMP_WAIT_POLICY": "passive", **os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        variables |= dict.fromkeys(_ONE_THREAD, "1")
        with theirs:
            self._running = subprocess.Popen(  # noqa: S603 - this very interpreter
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno())],
                env=variables,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what a command answers goes to the standard output, and nothing else does
            )

    def begin(self, calls: socket.socket) -> int:
        """Fork a cell that is called through a socket; returns its process's id."""
        with self._lock:
            socket.send_fds(self._control, [_NUMBER.pack(_NEW)], [calls.fileno()])
            return self._answer()

    def end(self, pid: int) -> int:
        """End a cell, and say how it had ended."""
        with self._lock, suppress(OSError):
            self._control.sendall(_NUMBER.pack(pid))
            return self._answer()
        return -signal.SIGKILL

    def _answer(self) -> int:
        answer = self._control.recv(_NUMBER.size, socket.MSG_WAITALL)
        if len(answer) < _NUMBER.size:
            raise ConnectionError("the template of the cells has ended")
        return int(_NUMBER.unpack(answer)[0])

    @property
    def usable(self) -> bool:
        """Whether it runs, and is not of the process that this one was forked from."""
        return self.owner == os.getpid() and self._running.poll() is None

    def close(self) -> None:
        """End it and its cells."""
        self._control.close()
        if self.owner == os.getpid():
            with suppress(subprocess.TimeoutExpired):
                self._running.wait(10)


_current: list[_Template] = []  # one at most
_making = threading.Lock()


def _template() -> _Template:
    with _making:
        if not (_current and _current[0].usable):
            _close()
            _current.append(_Template(os.getpid()))
        return _current[0]


@atexit.register
def _close() -> None:
    while _current:
        _current.pop().close()


def _serve(control: socket.socket) -> None:
    """Fork cells, and end them, until nobody is there to ask for one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the process that has started this one
    for library in _LIBRARIES:
        importlib.import_module(library)
    cells: set[int] = set()
    while True:
        message, handles, *_ = socket.recv_fds(control, _NUMBER.size, 1)
        if len(message) < _NUMBER.size:
            break
        if (pid := _NUMBER.unpack(message)[0]) == _NEW:
            answer = os.fork()
            if not answer:
                control.close()
                _compute(Connection(handles[0]))
            os.close(handles[0])
            cells.add(answer)
        else:
            os.kill(pid, signal.SIGKILL)  # one that has ended keeps how it did
            answer = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            cells.discard(pid)
        control.sendall(_NUMBER.pack(answer))
    for pid in cells:
        os.kill(pid, signal.SIGKILL)


def _compute(calls: Connection) -> None:
    """A cell: compute what comes through the connection until it is closed, and end this process."""
    code = 1
    try:
        task, variables, paths = calls.recv()
        _become(variables, paths)
        state = _State(task)
        with suppress(EOFError, ConnectionError):
            while True:
                item, seconds = calls.recv()
                # Its default is to end the process, whatever code is running.
                signal.setitimer(signal.ITIMER_REAL, seconds)
                with telling(lambda name, steps: calls.send(("step", (name, steps)))):
                    outcome = outcome_of(lambda item=item: state.called(item))  # type: ignore[misc]
                signal.setitimer(signal.ITIMER_REAL, 0)
                calls.send((outcome.how.value, outcome.content))
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def _become(variables: Mapping[str, str], paths: list[str]) -> None:
    """Take the variables of the process that the cell computes for, and find modules where it does."""
    os.environ.clear()
    os.environ.update(variables)
    # A cell computes by itself: what it spread further would wait for workers that wait for it.
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1") | {VARIABLE: LOCAL})
    sys.path[:] = paths


class _State:
    """A task in its cell, unpickled and prepared by the first item."""

    def __init__(self, task: bytes) -> None:
        self._pickled: bytes | None = task
        self._task: Task | None = None
        self._state: Any = None

    def called(self, item: bytes) -> Any:
        if self._task is None:
            assert self._pickled is not None
            task: Task = pickle.loads(self._pickled)  # noqa: S301 - from the process that it computes for
            self._state, self._task, self._pickled = task.prepare(task.shared), task, None
        return self._task.function(self._state, pickle.loads(item))  # noqa: S301


if __name__ == "__main__":
    # Under its own name: what is sent are objects of the module, not of the program.
    importlib.import_module("evergreen.compute.cells")._serve(socket.socket(fileno=int(sys.argv[1])))
