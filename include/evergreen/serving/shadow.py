"""Asks the champion's shadow what was asked of the champion, off the way of any answer.

Requests that were answered wait in a queue for one thread. It predicts them by the shadow, and offers both
predictions to the log of requests. The queue has a bound, beyond which requests are dropped and counted, and
the thread rests after each request, so that answers keep most of the CPU. A shadow that raises or sleeps
costs rows of evidence and nothing else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa

from evergreen.errors import one_line
from evergreen.request_log.pairs import logged_pairs
from evergreen.request_log.store import Kind, RequestLog
from evergreen.scoring.published import VERSION
from evergreen.serving.answer import Answer, answer
from evergreen.serving.body import Body
from evergreen.serving.log_writer import LogWriter
from evergreen.serving.meters import SHADOW, Meters
from evergreen.serving.refused import RequestRefusedError
from evergreen.serving.row_partitions import by_partition
from evergreen.serving.served import Served

WAITING = 10_000
"""Rows of requests that may wait for the shadow."""

_REST = 4
"""So many times as long as a request took of the CPU the thread rests after it."""

_UNAVAILABLE = 503

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Asked:
    """A request that a champion has answered, and the shadow that is to be asked the same."""

    champion: Served = field(repr=False)
    shadow: Served = field(repr=False)
    log: RequestLog
    body: Body = field(repr=False)
    found: Answer = field(repr=False)


class Shadowing:
    """Takes requests from any thread; `run` asks their shadows until `stop`."""

    def __init__(self, writer: LogWriter, meters: Meters, waiting: int = WAITING) -> None:
        self._writer, self._meters, self._most = writer, meters, waiting
        self._changed = threading.Condition()
        self._asked: deque[_Asked] = deque()
        self._waiting = 0
        self._ended = False

    def offer(self, champion: Served, shadow: Served, log: RequestLog, body: Body, found: Answer) -> bool:
        """Take up a request that the champion has answered; False if too many wait, which is counted.

        Returns at once. One with rows that could not be answered is left out where the shadow needs all rows
        of a partition.
        """
        if found.failed and not shadow.takes_single_rows:
            return False
        rows = len(found.rows)
        with self._changed:
            if taken := not self._ended and self._waiting + rows <= self._most:
                self._waiting += rows
                self._asked.append(_Asked(champion, shadow, log, body, found))
                self._changed.notify()
        if not taken:
            self._meters.count_not_shadowed(log.pipeline, rows)
        return taken

    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is being asked."""
        with self._changed:
            return self._waiting == 0

    def run(self) -> None:
        """Ask the shadows what comes, until `stop`; what waits then is dropped."""
        while (asked := self._next()) is not None:
            began = time.thread_time()
            try:
                self._ask(asked)
            except Exception as error:  # noqa: BLE001 - whatever a shadow trips over, the next is asked
                _log.error("%s: a request is not compared: %s", asked.log.pipeline, one_line(error))
                self._meters.count_not_shadowed(asked.log.pipeline, len(asked.found.rows))
            with self._changed:
                self._waiting -= len(asked.found.rows)
                self._changed.wait_for(lambda: self._ended, _REST * (time.thread_time() - began))

    def stop(self) -> None:
        """Take up nothing more and end `run`."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _next(self) -> _Asked | None:
        with self._changed:
            self._changed.wait_for(lambda: self._asked or self._ended)
            return None if self._ended else self._asked.popleft()

    def _ask(self, asked: _Asked) -> None:
        name, champion, shadow = asked.log.pipeline, asked.champion, asked.shadow
        chosen = [at for at, one in enumerate(asked.found.rows) if one.get(VERSION) == champion.version]
        if not chosen:
            return
        began, status = time.perf_counter(), 200
        try:
            found = answer(shadow, asked.body).rows
            said = [found[at] for at in chosen]
        except RequestRefusedError as refused:
            if refused.status == _UNAVAILABLE:  # which says nothing about the version
                raise
            status, said = refused.status, [{"error": one_line(refused)}] * len(chosen)
        except Exception as error:  # noqa: BLE001 - features and estimators of others may raise anything
            status, said = 500, [{"error": f"{type(error).__name__}: {one_line(error)}"}] * len(chosen)
        failed = sum("error" in one for one in said)
        self._meters.count(name, shadow.version, SHADOW, status, time.perf_counter() - began)
        self._meters.count_rows(name, shadow.version, SHADOW, len(said) - failed, failed)
        entries = partial(_pairs, asked, chosen, said)
        self._writer.offer(asked.log, Kind.SHADOW, len(said), entries)


def _pairs(asked: _Asked, chosen: Sequence[int], said: Sequence[Mapping[str, Any]]) -> dict[str, pa.Table]:
    """Both predictions of the chosen rows, by partition; `said` is what the shadow said of them."""
    champion = asked.champion
    rows = champion.types.read(asked.body.taken(chosen)).rows
    spec = champion.spec
    table = logged_pairs(
        rows.select(list(spec.keys)),
        champion.version,
        [asked.found.rows[at] for at in chosen],
        asked.shadow.version,
        said,
    )
    return by_partition(spec, rows, table)
