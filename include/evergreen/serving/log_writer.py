"""Writes to the logs of requests in a thread of its own, so that no answer waits for the storage.

What is offered is held in memory until it is written: rows of one log, kind and partition together, as soon
as they are many or have waited for long. Where the storage is out of reach they wait on, up to a bound. What
is beyond it is dropped and counted. A server that is killed loses what it has not written yet.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from evergreen.errors import EvergreenError, UnavailableError, one_line
from evergreen.request_log.store import Kind, RequestLog

Entries = Callable[[], Mapping[str, pa.Table]]
"""Makes the rows to be logged, by partition; called by the writer's thread."""

WRITTEN, DROPPED = "written", "dropped"
"""What may become of rows that are to be logged."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bounds:
    """Rows that may wait, and after how many rows or seconds those that wait are written."""

    waiting: int = 50_000
    rows: int = 5_000
    seconds: float = 30.0


@dataclass(frozen=True)
class _Offered:
    log: RequestLog
    kind: Kind
    rows: int
    entries: Entries = field(repr=False)


_Place = tuple[RequestLog, Kind, str]


class LogWriter:
    """Takes up rows from any thread; `run` writes them until `stop`.

    `count` is told of each pipeline how many rows were written, and how many dropped.
    """

    def __init__(self, count: Callable[[str, str, int], None], bounds: Bounds) -> None:
        self._count, self._bounds = count, bounds
        self._changed = threading.Condition()
        self._offers: list[_Offered] = []
        self._waiting = 0
        self._ended = False
        # Of the writer's thread alone.
        self._buffer: dict[_Place, list[pa.Table]] = {}
        self._due = float("inf")
        self._failing = False

    def offer(self, log: RequestLog, kind: Kind, rows: int, entries: Entries) -> bool:
        """Take up what `entries` makes of so many rows; False if too many rows wait, which is counted.

        Returns at once.
        """
        with self._changed:
            if taken := not self._ended and self._waiting + rows <= self._bounds.waiting:
                self._waiting += rows
                self._offers.append(_Offered(log, kind, rows, entries))
                self._changed.notify()
        if not taken:
            self._count(log.pipeline, DROPPED, rows)
        return taken

    def run(self) -> None:
        """Write what is offered; after `stop`, what is left, and return."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._offers or self._ended, self._patience())
                offers, self._offers, ended = self._offers, [], self._ended
            for offered in offers:
                self._take(offered)
            if ended or time.monotonic() >= self._due or (self._is_full() and not self._failing):
                self._flush()
            if ended:
                self._drop_all()
                return

    def stop(self) -> None:
        """Take up nothing more and end `run`."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _patience(self) -> float | None:
        """Seconds until something must be written; None if nothing waits."""
        return None if self._due == float("inf") else max(0.0, self._due - time.monotonic())

    def _is_full(self) -> bool:
        return sum(map(len, (rows for found in self._buffer.values() for rows in found))) >= self._bounds.rows

    def _take(self, offered: _Offered) -> None:
        name = offered.log.pipeline
        try:
            found = {key: rows for key, rows in offered.entries().items() if rows.num_rows}
        except Exception as error:  # noqa: BLE001 - what cannot be logged must not end the thread
            _log.error("%s: %d rows are not logged: %s", name, offered.rows, one_line(error))
            self._release(offered.rows)
            self._count(name, DROPPED, offered.rows)
            return
        self._release(offered.rows - sum(map(len, found.values())))
        for partition, rows in found.items():
            self._buffer.setdefault((offered.log, offered.kind, partition), []).append(rows)
        if found and self._due == float("inf"):
            self._due = time.monotonic() + self._bounds.seconds

    def _flush(self) -> None:
        """Write all that waits; what the storage does not take waits on, to be tried again."""
        self._failing = False
        for place in list(self._buffer):
            try:
                self._write(place)
            except UnavailableError as error:
                self._failing = True
                _log.warning("%s: the log of requests waits: %s", place[0].pipeline, one_line(error))
                break
        self._due = time.monotonic() + self._bounds.seconds if self._buffer else float("inf")

    def _write(self, place: _Place) -> None:
        log, kind, partition = place
        found = self._buffer[place]
        rows = sum(map(len, found))
        outcome = WRITTEN
        try:
            log.append(kind, partition, pa.concat_tables(found, promote_options="permissive"))
        except UnavailableError:
            raise
        except (EvergreenError, pa.ArrowException) as error:
            _log.error("%s %s: %d rows are not logged: %s", log.pipeline, partition, rows, one_line(error))
            outcome = DROPPED
        del self._buffer[place]
        self._release(rows)
        self._count(log.pipeline, outcome, rows)

    def _drop_all(self) -> None:
        """Give up what could not be written at the end."""
        for (log, _, partition), found in self._buffer.items():
            rows = sum(map(len, found))
            _log.error("%s %s: %d rows of the log of requests are lost", log.pipeline, partition, rows)
            self._count(log.pipeline, DROPPED, rows)
        self._buffer.clear()

    def _release(self, rows: int) -> None:
        with self._changed:
            self._waiting -= rows
