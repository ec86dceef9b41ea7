"""Attempts to ingest in processes of their own, which may be killed at any moment."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from evergreen.connections import Connection
from tests.faults.ingest import Path as IngestPath
from tests.faults.meters import NAME as METERS

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds for an attempt, before it is said to hang


@dataclass(frozen=True)
class Job:
    """What an attempt is to ingest; `done` steps of the run have been done by earlier attempts.

    `multipart` makes every upload one of several parts; `statement_seconds` is how long PostgreSQL may take
    for a statement.
    """

    prefix: str
    partitions: Sequence[str]
    run: str
    path: IngestPath
    done: int = 0
    multipart: bool = False
    statement_seconds: int | None = None
    pipeline: str = METERS


@dataclass
class Ended:
    """How an attempt ended. Times are monotonic seconds; `steps` are those that were done.

    It ended well if `finished` is true and `error` is None; it was killed if `finished` is false.
    """

    opened: float = 0.0
    ended: float = 0.0
    finished: bool = False
    error: dict[str, Any] | None = None
    steps: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether the attempt did all it was asked."""
        return self.finished and self.error is None

    @property
    def problem(self) -> str | None:
        """What no attempt may end in: an error that is not one line of Evergreen's; None if there is none."""
        if self.error is None or (self.error["known"] and "\n" not in self.error["text"]):
            return None
        return f"{self.error['kind']}: {self.error['text']}\n{self.error['trace']}"


class Forks:
    """Runs jobs one after the other, each in a process forked from a warm one, while the context is open.

    `folder` gets the temporary files and the log of the processes.
    """

    program: ClassVar[str] = "tests.faults.warm"

    def __init__(
        self, endpoint: str, bucket: str, postgres: Connection, folder: Path, impatient: bool = False
    ) -> None:
        self._setup = {
            "endpoint": endpoint,
            "bucket": bucket,
            "postgres": asdict(postgres),
            "impatient": impatient,
        }
        self.temporary = folder / "tmp"
        self._log = folder / "log"
        self._events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        self.temporary.mkdir(parents=True)
        paths = [str(ROOT), *sys.path]
        self._program = subprocess.Popen(
            [sys.executable, "-m", self.program],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TMPDIR": str(self.temporary)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log.open("wb"),
            text=True,
            bufsize=1,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._say(self._setup)
        self._next("ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._program.stdin is not None
        with suppress(BrokenPipeError):
            self._program.stdin.close()
        try:
            self._program.wait(60)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait()
        self._reader.join()

    def run(
        self,
        job: Any,
        kill_after: float | None = None,
        opened: Callable[[Callable[[], None]], None] | None = None,
    ) -> Ended:
        """Run a job to its end; `kill_after` kills it so many seconds after the pipeline was opened.

        A job is a data class that the program understands: a `Job`, unless a subclass has another program.
        `opened` is called then, with a function that kills the attempt. Raises `AssertionError` for an
        attempt that hangs.
        """
        ended = Ended()
        self._say(asdict(job))
        first = self._next("opened", "exit")
        assert first["event"] == "opened", f"no attempt was made:\n{self._log.read_text()[-3000:]}"
        ended.opened = first["at"]

        def kill() -> None:
            with suppress(ProcessLookupError):
                os.kill(first["pid"], signal.SIGKILL)

        timer = threading.Timer(kill_after if kill_after is not None else PATIENCE, kill)
        timer.start()
        if opened:
            opened(kill)
        while (event := self._next("step", "end", "exit"))["event"] != "exit":
            if event["event"] == "step":
                ended.steps.append(event["step"])
            else:
                ended.finished, ended.error = True, event["error"]
        timer.cancel()
        timer.join()
        ended.ended = event["at"]
        self._say({})  # the process's id is free from here on
        if kill_after is None and not opened and not ended.finished:
            raise AssertionError(f"an attempt took more than {PATIENCE} s, or died, after {ended.steps}")
        return ended

    def left(self) -> list[str]:
        """Temporary files that the processes left behind."""
        return sorted(str(file.relative_to(self.temporary)) for file in self.temporary.rglob("*"))

    def _say(self, document: dict[str, Any]) -> None:
        assert self._program.stdin is not None
        self._program.stdin.write(json.dumps(document) + "\n")

    def _read(self) -> None:
        assert self._program.stdout is not None
        for line in self._program.stdout:
            self._events.put(json.loads(line))
        self._events.put(None)

    def _next(self, *names: str) -> dict[str, Any]:
        event = self._events.get(timeout=2 * PATIENCE)
        assert event is not None, f"the warm process died:\n{self._log.read_text()[-3000:]}"
        assert event["event"] in names, f"{event} where one of {names} was expected"
        return event
