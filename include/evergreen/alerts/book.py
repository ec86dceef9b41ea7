"""The book of a pipeline's open alerts: who was told of what, and who silenced which. Kept as
`<pipeline>/alerts/open.json`.

It is written by compare-and-set alone. A sender claims the book first and writes it again with each message.
So of two senders only one sends. A sender that was killed leaves a claim that no longer changes; the next
sender sees that and takes over.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from evergreen.alerts.alert import SEVERITIES, Alert, Message, at_least, closed, opened
from evergreen.alerts.mute import Mute, mute_of, over, past
from evergreen.readable import readable

if TYPE_CHECKING:
    from evergreen.spec.alerts import Receiver, Severity
    from evergreen.storage import Storage

BOOK = "alerts/open.json"


@dataclass(frozen=True)
class Entry:
    """An open alert. `told` has the severity that each receiver was told of.

    `over` means that it does not hold any more; the entry stays until all who were told of it know that.
    """

    alert: Alert
    told: Mapping[str, Severity] = field(default_factory=dict)
    over: bool = False


@dataclass(frozen=True)
class Claim:
    """Who is sending, and how often the book was written meanwhile."""

    by: str
    moves: int = 0


@dataclass(frozen=True)
class Book:
    """The open alerts by key, who is sending just now, and the mutes, oldest first, ended ones too."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    claim: Claim | None = None
    mutes: tuple[Mute, ...] = ()

    @property
    def open(self) -> list[Alert]:
        """The alerts that hold."""
        return [entry.alert for entry in self.entries.values() if not entry.over]


@dataclass(frozen=True)
class Delivery:
    """A message that a receiver has not had."""

    key: str
    conn_id: str
    message: Message


def updated(book: Book, alerts: Sequence[Alert], judged: Collection[str], partition: str) -> Book:
    """The book after a look at a partition: `alerts` hold, and every other key in `judged` does not.

    What was found at a later partition is left alone. An empty `partition` counts as the newest.
    """
    book = awake(book, partition)
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
    ended = {key for key, entry in entries.items() if entry.over}
    return replace(book, entries=_without_finished(entries), mutes=over(book.mutes, ended))


def awake(book: Book, partition: str) -> Book:
    """The book without the mutes that hold only until this partition."""
    return replace(book, mutes=past(book.mutes, partition))


def pending(book: Book, receivers: Sequence[Receiver]) -> list[Delivery]:
    """What must be sent: for each receiver alerts that are new or more severe, and those that are over.

    That an alert is over is sent to all who were told of it, whatever severity they ask for. Of an alert that
    is muted nothing else is sent.
    """
    return [
        Delivery(key, receiver.conn_id, message)
        for receiver in receivers
        for key, entry in book.entries.items()
        if (entry.over or mute_of(book.mutes, key) is None)
        and (message := _message(entry, receiver)) is not None
    ]


def told(book: Book, delivery: Delivery) -> Book:
    """The book after a message was delivered."""
    entry = book.entries[delivery.key]
    heard = dict(entry.told)
    if entry.over:
        heard.pop(delivery.conn_id, None)
    else:
        heard[delivery.conn_id] = entry.alert.severity
    entries = {**book.entries, delivery.key: replace(entry, told=heard)}
    return replace(book, entries=_without_finished(entries))


def known_to(book: Book, receivers: Sequence[Receiver]) -> Book:
    """The book without receivers that the description does not name any more: nothing is sent to them."""
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
    with readable(pipeline, BOOK, storage.child(pipeline), "delete it: alerts that are open are told again"):
        values = json.loads(found.body)
        entries = {
            key: Entry(Alert(**entry["alert"]), entry["told"], entry["over"])
            for key, entry in values["entries"].items()
        }
        claim = Claim(**values["claim"]) if values["claim"] else None
        mutes = tuple(Mute(**mute) for mute in values.get("mutes", ()))  # earlier releases wrote none
        return Book(entries, claim, mutes), found.etag


def write_book(storage: Storage, pipeline: str, book: Book, etag: str | None) -> str:
    """Replace the book that has this tag; raises `ConflictError` if it was written since."""
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
