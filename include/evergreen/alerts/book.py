"""The book of a pipeline's open alerts: who was told of what. Kept as `<pipeline>/alerts/open.json`.

It is moved by compare-and-set alone. Who wants to send claims the book first, and moves it with each message,
so that of two senders at once one sends, and a sender who is killed leaves a claim that stands still: the
next one sees that, and goes on in its place.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from evergreen.alerts.alert import SEVERITIES, Alert, Message, at_least, closed, opened

if TYPE_CHECKING:
    from evergreen.spec.alerts import Receiver, Severity
    from evergreen.storage import Storage

BOOK = "alerts/open.json"


@dataclass(frozen=True)
class Entry:
    """An open alert. `told` holds by receiver what severity it was told of; `over` is one that holds no more,
    and stays until everybody who was told of it has heard so."""

    alert: Alert
    told: Mapping[str, Severity] = field(default_factory=dict)
    over: bool = False


@dataclass(frozen=True)
class Claim:
    """Who is sending, and how often the book was moved meanwhile."""

    by: str
    moves: int = 0


@dataclass(frozen=True)
class Book:
    """The open alerts by key, and who is sending just now."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    claim: Claim | None = None


@dataclass(frozen=True)
class Delivery:
    """A message that a receiver has not had."""

    key: str
    conn_id: str
    message: Message


def updated(book: Book, alerts: Sequence[Alert], judged: Collection[str], partition: str) -> Book:
    """The book after a look at a partition: `alerts` hold, and every other key in `judged` does not.

    What was found at a later partition is left alone; an empty `partition` is one that nobody knows, and now.
    """
    entries = dict(book.entries)
    for alert in alerts:
        before = entries.get(alert.key)
        if before is None:
            entries[alert.key] = Entry(alert)
        elif _is_now(before, partition):
            entries[alert.key] = replace(before, alert=alert, over=False)
    holding = {alert.key for alert in alerts}
    for key in set(judged) - holding:
        if (before := entries.get(key)) and _is_now(before, partition):
            entries[key] = replace(before, over=True)
    return replace(book, entries=_without_finished(entries))


def pending(book: Book, receivers: Sequence[Receiver]) -> list[Delivery]:
    """What is to be sent, by receiver: alerts that are new to it or have become more severe, and their ends.

    The end of an alert goes to everybody who was told of it, whatever severity they ask for.
    """
    return [
        Delivery(key, receiver.conn_id, message)
        for receiver in receivers
        for key, entry in book.entries.items()
        if (message := _message(entry, receiver)) is not None
    ]


def told(book: Book, delivery: Delivery) -> Book:
    """The book once a message was taken."""
    entry = book.entries[delivery.key]
    heard = dict(entry.told)
    if entry.over:
        heard.pop(delivery.conn_id, None)
    else:
        heard[delivery.conn_id] = entry.alert.severity
    entries = {**book.entries, delivery.key: replace(entry, told=heard)}
    return replace(book, entries=_without_finished(entries))


def known_to(book: Book, receivers: Sequence[Receiver]) -> Book:
    """The book without receivers that the description names no more: they wait for nothing."""
    names = {receiver.conn_id for receiver in receivers}
    entries = {
        key: replace(entry, told={name: entry.told[name] for name in entry.told if name in names})
        for key, entry in book.entries.items()
    }
    return replace(book, entries=_without_finished(entries))


def read_book(storage: Storage, pipeline: str) -> tuple[Book, str | None]:
    """The pipeline's book and its tag; an empty one and None if there is none yet."""
    found = storage.find(f"{pipeline}/{BOOK}")
    if found is None:
        return Book(), None
    values = json.loads(found.body)
    entries = {
        key: Entry(Alert(**entry["alert"]), entry["told"], entry["over"])
        for key, entry in values["entries"].items()
    }
    claim = Claim(**values["claim"]) if values["claim"] else None
    return Book(entries, claim), found.etag


def write_book(storage: Storage, pipeline: str, book: Book, etag: str | None) -> str:
    """Put the book in the place of the one with this tag; raises `ConflictError` if it was moved since."""
    body = json.dumps(asdict(book), sort_keys=True).encode()
    key = f"{pipeline}/{BOOK}"
    return storage.create(key, body) if etag is None else storage.replace(key, body, etag)


def _message(entry: Entry, receiver: Receiver) -> Message | None:
    heard = entry.told.get(receiver.conn_id)
    if entry.over:
        return closed(entry.alert) if heard else None
    if not at_least(entry.alert.severity, receiver.at_least):
        return None
    if heard and SEVERITIES.index(heard) >= SEVERITIES.index(entry.alert.severity):
        return None
    return opened(entry.alert)


def _is_now(entry: Entry, partition: str) -> bool:
    return not partition or entry.alert.partition <= partition


def _without_finished(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {key: entry for key, entry in entries.items() if not (entry.over and not entry.told)}
