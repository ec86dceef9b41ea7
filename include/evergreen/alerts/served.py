"""Alerts of a server of predictions: a version that stays out, and a storage that is out of reach.

The first kind is kept in the pipeline's book, so that of several servers one sends it. The book lies in the
storage, so the second kind cannot be kept there: each server sends that itself, and remembers to whom.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evergreen.alerts.alert import Alert, Message, at_least, closed, opened
from evergreen.alerts.book import read_book
from evergreen.alerts.delivery import notify
from evergreen.alerts.receivers import send
from evergreen.errors import EvergreenError
from evergreen.serving.told import Condition, Pipelines, Told, by_pipeline

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

OUT = "serving_out_"
"""What the key of the alert that a version stays out begins with; the version's id follows."""
STORAGE = "serving_storage"
"""Key of the alert that the storage is out of reach."""

_AGAIN = 60.0
"""Seconds until a receiver that could not be reached is told again."""

_log = logging.getLogger(__name__)


class ServedAlerts:
    """Called again and again with what each worker says, tells the receivers of each pipeline what is new.

    A storage that has been silent for more than `patience` seconds is out of reach. A server calls it in a
    thread of its own. Raises `UnavailableError` or `StorageError` where the book cannot be read or written.
    """

    def __init__(self, pipelines: Sequence[Pipeline], patience: float) -> None:
        self._watched = {
            pipeline.name: _Watched(pipeline, patience) for pipeline in pipelines if pipeline.spec.alerts.to
        }

    def __call__(self, workers: Sequence[Pipelines]) -> None:
        """Tell what is new in what each of the workers serves."""
        for name, told in by_pipeline(workers).items():
            if (watched := self._watched.get(name)) is not None:
                watched.look(told)


class _Watched:
    """What the receivers of one pipeline were told."""

    def __init__(self, pipeline: Pipeline, patience: float) -> None:
        self._pipeline, self._patience = pipeline, patience
        self._since = time.monotonic()
        self._out: frozenset[str] | None = None
        self._again = self._storage_again = float("-inf")
        self._storage_told: set[str] = set()

    def look(self, told: Sequence[Told]) -> None:
        seen = max(self._since, *(one.seen for one in told))
        # While a version is loaded the storage is not read, so its silence alone says nothing.
        if all(one.unread for one in told) and time.monotonic() - seen > self._patience:
            self._open_storage()
            return
        self._close_storage()
        # A version that is being loaded may yet be used, or not.
        if all(one.champion is None or one.is_current or one.champion in one.out for one in told):
            self._tell_out(told)

    def _tell_out(self, told: Sequence[Told]) -> None:
        alerts = [_stays_out(self._pipeline.name, version, told) for version in _out(told)]
        out = frozenset(alert.key for alert in alerts)
        if out == self._out and (not out or time.monotonic() < self._again):
            return
        # Only when something has changed: another server may not be able to use what this one can.
        judged = set() if out == self._out else self._in_book()
        notify(self._pipeline, alerts, "", judged)
        self._out, self._again = out, time.monotonic() + _AGAIN

    def _in_book(self) -> set[str]:
        book, _ = read_book(self._pipeline.storage, self._pipeline.name)
        return {key for key in book.entries if key.startswith(OUT)}

    def _open_storage(self) -> None:
        if time.monotonic() < self._storage_again:
            return
        self._storage_again = time.monotonic() + _AGAIN
        alert = self._storage_alert
        for receiver in self._pipeline.spec.alerts.to:
            wanted = (
                at_least(alert.severity, receiver.at_least) and receiver.conn_id not in self._storage_told
            )
            if wanted and self._send(receiver.conn_id, opened(alert)):
                self._storage_told.add(receiver.conn_id)

    def _close_storage(self) -> None:
        for conn_id in sorted(self._storage_told):
            if self._send(conn_id, closed(self._storage_alert)):
                self._storage_told.remove(conn_id)
        self._storage_again = float("-inf")

    def _send(self, conn_id: str, message: Message) -> bool:
        try:
            why = send(self._pipeline.connect(conn_id), message)
        except EvergreenError as error:
            why = str(error)
        if why:
            _log.warning("%s: '%s' was not notified of %s: %s", self._pipeline.name, conn_id, STORAGE, why)
        return not why

    @property
    def _storage_alert(self) -> Alert:
        text = (
            "the server of predictions cannot read the storage: what is loaded answers on, no promotion or "
            "rollback is followed: see whether the storage answers"
        )
        name = self._pipeline.name
        return Alert(STORAGE, "warning", "the server cannot read the storage", text, name, "")


def _out(told: Sequence[Told]) -> list[str]:
    return sorted({version for one in told for version in one.out})


def _stays_out(pipeline: str, version: str, told: Sequence[Told]) -> Alert:
    why = next(one.out[version] for one in told if version in one.out)
    silent = any(one.condition(float("inf")) is Condition.NOT_LOADED for one in told)
    on = "nothing answers" if silent else f"{next(one.version for one in told if one.version)} answers on"
    text = f"{why} ({on})"
    title = f"version {version} is not served"
    return Alert(f"{OUT}{version}", "critical" if silent else "warning", title, text, pipeline, "")
