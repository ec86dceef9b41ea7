"""Sending a pipeline's receivers what is new: once with several senders, and at least once after a crash.

A message that was delivered just before a crash may be sent again; none is lost.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from evergreen.alerts.alert import Alert
from evergreen.alerts.book import (
    Book,
    Claim,
    Delivery,
    awake,
    known_to,
    pending,
    read_book,
    told,
    updated,
    write_book,
)
from evergreen.alerts.claim import STILL, moves
from evergreen.alerts.receivers import send
from evergreen.errors import ConflictError, EvergreenError

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

_log = logging.getLogger(__name__)


def notify(
    pipeline: Pipeline,
    alerts: Sequence[Alert],
    partition: str,
    judged: Collection[str] = (),
    still: float = STILL,
) -> list[Delivery]:
    """Tell the receivers which alerts hold at `partition`, and which of those in `judged` are over.

    An open alert is sent again only if it has become more severe. Nothing is sent for a partition older than
    the newest published one: a backfill is quiet. A receiver that cannot be reached is logged and tried again
    at the next call; the others get their messages. Returns what was sent. Raises `UnavailableError` or
    `StorageError` where the storage fails.
    """
    if _nothing_to_do(pipeline, alerts, partition, judged) or is_past(pipeline, partition):
        return []
    sender = _Sender(pipeline, still)
    if not sender.claim(alerts, judged, partition):
        return []
    return sender.send_pending()


def _nothing_to_do(
    pipeline: Pipeline, alerts: Sequence[Alert], partition: str, judged: Collection[str]
) -> bool:
    """Whether there is nothing to write or send, as after most tasks of most nights."""
    if alerts:
        return False
    book, _ = read_book(pipeline.storage, pipeline.name)
    known = known_to(awake(book, partition), pipeline.spec.alerts.to)
    return not set(judged) & set(known.entries) and not pending(known, pipeline.spec.alerts.to)


def is_past(pipeline: Pipeline, partition: str) -> bool:
    """Whether a partition is older than the newest published one: nobody is told of a backfill."""
    if not partition or not pipeline.spec.calendar.has_time:
        return False
    published = pipeline.lake.partitions()
    return bool(published) and partition < published[-1]


class _Sender:
    """One sender's hold on a pipeline's book."""

    def __init__(self, pipeline: Pipeline, still: float) -> None:
        self._pipeline, self._still = pipeline, still
        self._token = secrets.token_hex(8)
        self._receivers = pipeline.spec.alerts.to
        self._book, self._etag = Book(), ""

    def claim(self, alerts: Sequence[Alert], judged: Collection[str], partition: str) -> bool:
        """Write what holds into the book, and claim it; False, and no claim, if there is nothing to send."""
        storage, name = self._pipeline.storage, self._pipeline.name
        while True:
            before, etag = read_book(storage, name)
            if before.claim and etag and moves(storage, name, etag, self._still):
                continue
            after = known_to(updated(before, alerts, judged, partition), self._receivers)
            wanted = bool(pending(after, self._receivers))
            after = replace(after, claim=Claim(self._token) if wanted else None)
            if after == before:
                return False
            try:
                self._etag = write_book(storage, name, after, etag)
            except ConflictError:
                continue
            self._book = after
            _log_changes(before, after)
            return wanted

    def send_pending(self) -> list[Delivery]:
        """Send what is pending, write the book with each message, and release it."""
        sent: list[Delivery] = []
        try:
            try:
                for delivery in self._sent_one_by_one():
                    self._move(told(self._book, delivery))
                    sent.append(delivery)
            finally:
                self._move(self._book, last=True)
        except ConflictError:
            _log.warning("%s: another sender of alerts has taken over", self._pipeline.name)
        return sent

    def _sent_one_by_one(self) -> Iterator[Delivery]:
        silent: set[str] = set()
        for delivery in pending(self._book, self._receivers):
            if delivery.conn_id in silent:
                continue
            if why := self._why_not(delivery):
                silent.add(delivery.conn_id)
                name = self._pipeline.name
                _log.warning(
                    "%s: '%s' was not notified of %s, the next run tries again: %s",
                    name,
                    delivery.conn_id,
                    delivery.key,
                    why,
                )
                self._move(self._book)
            else:
                yield delivery

    def _why_not(self, delivery: Delivery) -> str | None:
        try:
            return send(self._pipeline.connect(delivery.conn_id), delivery.message)
        except EvergreenError as error:
            return str(error)

    def _move(self, book: Book, last: bool = False) -> None:
        claim = None
        if not last:
            claim = Claim(self._token, self._book.claim.moves + 1 if self._book.claim else 1)
        self._book = replace(book, claim=claim)
        self._etag = write_book(self._pipeline.storage, self._pipeline.name, self._book, self._etag)


def _log_changes(before: Book, after: Book) -> None:
    for key, entry in after.entries.items():
        old = before.entries.get(key)
        if entry.over:
            continue
        if old is None or old.over or old.alert.severity != entry.alert.severity:
            alert = entry.alert
            _log.warning("ALERT [%s] %s: %s: %s", alert.severity, alert.pipeline, alert.title, alert.text)
    for key, old in before.entries.items():
        if not old.over and (key not in after.entries or after.entries[key].over):
            _log.info("ALERT over: %s: %s", old.alert.pipeline, old.alert.title)
