"""Chapters: twenty events of a history together in one object, so that few requests read a long history.

The events themselves are the truth, and a chapter repeats some that never change: it is written once, when
its last event is there, and a reader that finds none reads the events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from evergreen.errors import ConflictError, IntegrityError, NotFoundError
from evergreen.readable import readable
from evergreen.registry.history import Event

if TYPE_CHECKING:
    from evergreen.storage import Storage

SIZE = 20
"""How many events a chapter has: the fewest requests for histories of about two hundred."""

_FOLDER = "chapters/"


class Chapters:
    """The chapters of the history of `pipeline`; `storage` is already at the pipeline's folder."""

    def __init__(self, storage: Storage, pipeline: str) -> None:
        self._storage = storage
        self._pipeline = pipeline

    def write(self, events: Sequence[Event]) -> None:
        """Store the chapters that are missing of these events, the whole history."""
        there = set(self._storage.list(_FOLDER))
        for key, chapter in _chapters(events):
            if key not in there:
                with suppress(ConflictError):  # another writer has just stored the same
                    self._storage.create(key, _to_json(chapter))

    def read(self, seq: int) -> list[Event]:
        """The events of the chapter that has event number `seq`; none where it cannot be read."""
        key = _key(-(-seq // SIZE))
        try:
            body = self._storage.read(key).body
            with readable(self._pipeline, key, self._storage):
                events = [Event.of(one) for one in json.loads(body)]
        except (NotFoundError, IntegrityError):
            return []
        last = -(-seq // SIZE) * SIZE
        return events if [event.seq for event in events] == list(range(last - SIZE + 1, last + 1)) else []

    def problems(self, events: Sequence[Event]) -> list[str]:
        """What is wrong with the stored chapters beside the whole history, a line each."""
        there = set(self._storage.list(_FOLDER))
        return [
            f"{key} does not match the history: delete it in {self._storage.uri()}"
            for key, chapter in _chapters(events)
            if key in there and self.read(chapter[-1].seq) != list(chapter)
        ]


def _chapters(events: Sequence[Event]) -> Iterator[tuple[str, Sequence[Event]]]:
    """The whole chapters of a history by their keys."""
    for number in range(1, len(events) // SIZE + 1):
        yield _key(number), events[(number - 1) * SIZE : number * SIZE]


def _to_json(chapter: Sequence[Event]) -> bytes:
    return b"[" + b",\n".join(event.to_json() for event in chapter) + b"]"


def _key(number: int) -> str:
    return f"{_FOLDER}{(number - 1) * SIZE + 1:08d}-{number * SIZE:08d}.json"
