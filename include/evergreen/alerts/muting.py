"""Muting an open alert and ending that: changes of the pipeline's book by compare-and-set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evergreen.alerts.book import Book, read_book, write_book
from evergreen.alerts.claim import STILL, moves
from evergreen.alerts.mute import Mute, mute_of, with_mute, without_mute
from evergreen.calendar import PartitionError
from evergreen.errors import ConflictError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

_ATTEMPTS = 100


def mute(pipeline: Pipeline, key: str, *, by: str, until: str | None = None, why: str = "") -> Mute:
    """Silence an open alert until a partition, or until it is over; another mute of it is replaced.

    Once it is silenced like this, nothing changes. That the alert is over is sent all the same to those who
    were told of it.

    Raises `NotFoundError` if no alert of the key is open, `PartitionError` for an `until` that is no
    partition after the newest published one, and `UnavailableError` while the book is being written.
    """
    check_until(pipeline, until)
    wanted = Mute(key, by, _now(), until, why)

    def change(book: Book) -> Book:
        check_open(pipeline, book, key)
        known = mute_of(book.mutes, key)
        if known and (known.until, known.why) == (until, why):
            return book
        return replace(book, mutes=with_mute(book.mutes, wanted))

    after = _changed(pipeline, change)
    return mute_of(after.mutes, key) or wanted


def unmute(pipeline: Pipeline, key: str, *, by: str) -> Mute:
    """End the mute of an alert, and return it; what its receivers missed is sent with the next task.

    Raises `NotFoundError` if the alert is not muted, and `UnavailableError` while the book is being written.
    """

    def change(book: Book) -> Book:
        if mute_of(book.mutes, key) is None:
            raise NotFoundError(
                f"{pipeline.name}: no alert '{key}' is muted: see evergreen alerts list {pipeline.name}"
            )
        return replace(book, mutes=without_mute(book.mutes, key, f"unmuted by {by}"))

    return next(mute for mute in reversed(_changed(pipeline, change).mutes) if mute.key == key)


def check_until(pipeline: Pipeline, until: str | None) -> None:
    """Raise `PartitionError` unless `until` is None, or a partition after the newest published one."""
    if until is None:
        return
    if not pipeline.spec.calendar.has_time:
        raise PartitionError(
            f"{pipeline.name}: a snapshot has no later partition: mute the alert until it is over"
        )
    published = pipeline.lake.partitions()
    newest = published[-1] if published else ""
    if pipeline.spec.calendar.check(until) <= newest:
        raise PartitionError(
            f"{pipeline.name}: '{until}' is not after {newest}, the newest published partition: name a later "
            "one, or none to mute the alert until it is over"
        )


def check_open(pipeline: Pipeline, book: Book, key: str) -> None:
    """Raise `NotFoundError` unless an alert of the key is open."""
    if key not in {alert.key for alert in book.open}:
        raise NotFoundError(
            f"{pipeline.name}: no alert '{key}' is open: see evergreen alerts list {pipeline.name}"
        )


def _changed(pipeline: Pipeline, change: Callable[[Book], Book]) -> Book:
    """The book after the change, which waits until nobody else is sending."""
    storage, name = pipeline.storage, pipeline.name
    for _ in range(_ATTEMPTS):
        book, etag = read_book(storage, name)
        after = change(book)
        if after == book:
            return after
        # A sender gives up where another one writes, so its claim is waited for.
        if book.claim and etag and moves(storage, name, etag, STILL):
            continue
        try:
            write_book(storage, name, replace(after, claim=None), etag)
        except ConflictError:
            continue
        return after
    raise UnavailableError(f"{name}: too many writers of its alerts: try again")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
