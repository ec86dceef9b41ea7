"""A server among others on one port: which of them loads just now, and what each says of itself.

They share a folder: a lock, which the system gives back when a worker dies, and a file of each worker.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from evergreen.serving.told import Pipelines, Told


class _Report(msgspec.Struct, frozen=True):
    """What a worker says: whether it has looked at all champions, takes connections, and what it serves."""

    has_looked: bool
    answers: bool
    pipelines: dict[str, Told]


@dataclass
class Worker:
    """The worker `number` of `count`, which share `folder`.

    `first` says that it takes connections before it has loaded anything, so that probes are answered.
    """

    folder: Path
    number: int
    count: int
    first: bool = False
    answers: bool = False
    _telling: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other worker has its turn: one after the other they load a version."""
        with self._holding("turn"):
            yield

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Wait until no other worker watches for all of them; whoever does goes on until it ends."""
        with self._holding("watch"):
            yield

    def tell(self, pipelines: Pipelines, *, has_looked: bool) -> None:
        """Let the others know what is served here, and whether it has looked at all champions."""
        with self._telling:
            new = self.folder / f"{self.number}.new"
            new.write_bytes(msgspec.msgpack.encode(_Report(has_looked, self.answers, dict(pipelines))))
            os.replace(new, self.folder / f"{self.number}.told")

    def others(self) -> list[Pipelines]:
        """What each of the others says that take connections."""
        numbers = [number for number in range(self.count) if number != self.number]
        return [report.pipelines for report in _reports(self.folder, numbers) if report.answers]

    @contextmanager
    def _holding(self, name: str) -> Iterator[None]:
        with (self.folder / name).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def any_has_looked(folder: Path) -> bool:
    """Whether one of the workers has looked at all champions."""
    numbers = [int(file.stem) for file in folder.glob("*.told")]
    return any(report.has_looked for report in _reports(folder, numbers))


def forget(folder: Path, number: int) -> None:
    """Take a dead worker's word away."""
    (folder / f"{number}.told").unlink(missing_ok=True)


def covers(own: Pipelines, others: Iterable[Mapping[str, Told]]) -> bool:
    """Whether each pipeline is ready here that is ready with one of the others."""
    ready = {name for worker in others for name, told in worker.items() if told.ready}
    return all(name in own and own[name].ready for name in ready)


def _reports(folder: Path, numbers: Iterable[int]) -> Iterator[_Report]:
    for number in numbers:
        # It may have just started, or have died.
        with suppress(FileNotFoundError):
            yield msgspec.msgpack.decode((folder / f"{number}.told").read_bytes(), type=_Report)
