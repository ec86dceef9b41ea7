"""Run a function in a clean interpreter, which has nothing of this process but the arguments it is given.

The first call starts a template: an interpreter that imports the libraries of `_LIBRARIES`, and nothing of a
pipeline. Each call runs in a fork of it: importing takes seconds, forking milliseconds.
"""

from __future__ import annotations

import atexit
import importlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import IO, Any

from evergreen import errors
from evergreen.errors import EvergreenError, one_line

_LIBRARIES = ("boto3", "pandas", "pyarrow.parquet", "sklearn", "skops.io")
_INCLUDE = Path(__file__).resolve().parents[1]
# What an interpreter and its libraries read when they start: the template gets no other, so no secret.
_NAMES = {"PATH", "HOME", "TMPDIR", "TZ", "LANG"}
_PREFIXES = ("LC_", "LD_", "DYLD_", "PYTHON", "OMP_", "OPENBLAS_", "MKL_", "KMP_", "NUMEXPR_")


class NoAnswerError(Exception):
    """The clean interpreter ended without an answer: how, and the last line that it wrote."""


@dataclass(frozen=True)
class _Call:
    """A function by its module and name, its arguments, all of its environment's variables, and its time."""

    module: str
    name: str
    arguments: tuple[Any, ...]
    environment: Mapping[str, str]
    seconds: float | None = None


def run_clean(
    function: Callable[..., Any],
    *arguments: Any,
    environment: Mapping[str, str],
    seconds: float | None = None,
) -> Any:
    """What a function of a module of the library returns in a clean interpreter.

    `environment` holds all variables that it finds there; those that Python itself reads are this process's.
    The arguments and what is returned are copied. What the function prints is dropped. After so many
    `seconds` it is ended, the start of the interpreter not counted; without them it may take any time.

    Raises the `EvergreenError` that the function raises, and `NoAnswerError` if it raises another one or
    its process ends.
    """
    call = _Call(function.__module__, function.__qualname__, arguments, dict(environment), seconds)
    with _lock:
        kind, content = _template().run(call)
    if kind == "returned":
        return content
    if kind == "raised":
        name, message = content
        raise getattr(errors, name)(message)
    raise NoAnswerError(content)


def prepare() -> None:
    """Start the template, if none runs or is being started: the next call need not wait for its imports."""
    if _lock.acquire(blocking=False):
        try:
            _template()
        finally:
            _lock.release()


class _Template:
    """The running template of the process `owner`, started with the variables `started_with`."""

    def __init__(self, owner: int, started_with: Mapping[str, str]) -> None:
        self.owner, self.started_with = owner, started_with
        self._calls, theirs = Pipe()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the template runs
        with theirs:
            self._running = subprocess.Popen(  # noqa: S603 - this very interpreter
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno())],
                env=started_with,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
            )

    def run(self, call: _Call) -> tuple[str, Any]:
        """How the call ended: `returned`, `raised` or `died`, and with what."""
        try:
            self._calls.send(call)
            answer: tuple[str, Any] = self._calls.recv()
        except (EOFError, ConnectionError):
            return "died", _end(self._running.wait(), self._output)
        return answer

    @property
    def usable(self) -> bool:
        """Whether it is this process's own, runs, and was started with the variables of now."""
        return (
            self.owner == os.getpid() and self.started_with == _variables() and self._running.poll() is None
        )

    def close(self) -> None:
        """End it, unless it belongs to the process that this one was forked from."""
        self._calls.close()
        self._output.close()
        if self.owner == os.getpid():
            with suppress(subprocess.TimeoutExpired):
                self._running.wait(10)


_lock = threading.Lock()
_current: list[_Template] = []  # one at most


def _template() -> _Template:
    """The template of this process, which is started where there is none that can be used."""
    if not (_current and _current[0].usable):
        _close()
        _current.append(_Template(os.getpid(), _variables()))
    return _current[0]


@atexit.register
def _close() -> None:
    while _current:
        _current.pop().close()


def _variables() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in _NAMES or name.startswith(_PREFIXES)}
    paths = [str(_INCLUDE), os.environ.get("PYTHONPATH", "")]
    # Where others take the cores, threads that spin while they wait take a hundred times the work's time.
    passive = {"OMP_WAIT_POLICY": "passive"}
    return passive | kept | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _serve(calls: Connection) -> None:
    """Run each call in a fork, one after the other, until there is nobody to call."""
    for library in _LIBRARIES:
        importlib.import_module(library)
    with suppress(EOFError, ConnectionError):
        while True:
            call = calls.recv()
            with suppress(ImportError):  # the fork says what is wrong
                importlib.import_module(call.module)
            calls.send(_in_a_fork(call))


def _in_a_fork(call: _Call) -> tuple[str, Any]:
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as output:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                _answer(call, answer, output)
                code = 0
            except BaseException:  # noqa: BLE001 - whatever it is, the fork must not go on as a template
                sys.stdout.flush()  # what was printed before stands before
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        answer.seek(0)
        with suppress(EOFError, pickle.UnpicklingError):
            found: tuple[str, Any] = pickle.load(answer)  # noqa: S301 - written by this program's own fork
            return found
        if call.seconds is not None and code == -signal.SIGALRM:
            return "died", f"took longer than {call.seconds:g} s"
        return "died", _end(code, output)


def _end(code: int, output: IO[bytes]) -> str:
    """How a process ended, and the last line of its output."""
    output.seek(0)
    lines = output.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
    return f"ended with code {code} ({one_line(lines[-1])})"


def _answer(call: _Call, answer: IO[bytes], output: IO[bytes]) -> None:
    """Run the call as its environment says, and write how it ended into the file `answer`."""
    for standard in (1, 2):
        os.dup2(output.fileno(), standard)
    if call.seconds is not None:
        # Its default is to end the process, whatever code is running.
        signal.setitimer(signal.ITIMER_REAL, call.seconds)
    variables = {**call.environment, "PYTHONPATH": os.environ["PYTHONPATH"]}
    os.environ.clear()
    os.environ.update(variables)
    function = getattr(importlib.import_module(call.module), call.name)
    try:
        found = ("returned", function(*call.arguments))
    except EvergreenError as error:
        found = ("raised", (type(error).__name__, str(error)))
    pickle.dump(found, answer)
    answer.flush()


if __name__ == "__main__":
    # Under its own name: the calls that are sent are objects of the module, not of the program.
    importlib.import_module("evergreen.interpreter")._serve(Connection(int(sys.argv[1])))
