"""Chapters: twenty events of a history together in one object, so that few requests read a long history.

The events themselves are the truth, and a chapter repeats some that never change. The newest chapter has what
there is so far, and each event that follows replaces it by a longer one, under a name of its own. A history
shorter than a chapter has none. A reader that finds none reads the events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from evergreen.errors import ConflictError, IntegrityError, NotFoundError
from evergreen.readable import readable
from evergreen.registry.history import Event

if TYPE_CHECKING:
    from evergreen.storage import Storage

SIZE = 20
"""How many events a chapter has once it is full."""

_FOLDER = "chapters/"
_NAME = re.compile(rf"{_FOLDER}(?:\d+-)?(\d+)\.json")  # an earlier release named them by a number alone


class Chapters:
    """The chapters of the history of `pipeline`; `storage` is already at the pipeline's folder."""

    def __init__(self, storage: Storage, pipeline: str) -> None:
        self._storage = storage
        self._pipeline = pipeline

    def write(self, events: Sequence[Event]) -> None:
        """Store the chapters that are missing of these events, the whole history; delete those they replace.

        Those that have later events stay: another writer has stored them.
        """
        there, wanted = set(self._storage.list(_FOLDER)), dict(_chapters(events))
        for key, chapter in wanted.items():
            if key not in there:
                with suppress(ConflictError):  # another writer has just stored the same
                    self._storage.create(key, _to_json(chapter))
        others = map(_NAME.fullmatch, there - wanted.keys())
        self._storage.delete(other[0] for other in others if other and int(other[1]) <= len(events))

    def read(self, last: int) -> list[Event]:
        """The events of the chapter whose last event is number `last`; none where it cannot be read."""
        numbers = range((last - 1) // SIZE * SIZE + 1, last + 1)
        key = _key(numbers)
        try:
            body = self._storage.read(key).body
            with readable(self._pipeline, key, self._storage):
                events = [Event.of(one) for one in json.loads(body)]
        except (NotFoundError, IntegrityError):
            return []
        return events if [event.seq for event in events] == list(numbers) else []

    def problems(self, events: Sequence[Event]) -> list[str]:
        """What is wrong with the stored chapters beside the whole history, a line each."""
        there = set(self._storage.list(_FOLDER))
        return [
            f"{key} does not match the history: delete it in {self._storage.uri()}"
            for key, chapter in _chapters(events)
            if key in there and self.read(chapter[-1].seq) != list(chapter)
        ]


def _chapters(events: Sequence[Event]) -> Iterator[tuple[str, Sequence[Event]]]:
    """The chapters of a history by their keys."""
    for before in range(0, len(events), SIZE) if len(events) >= SIZE else ():
        chapter = events[before : before + SIZE]
        yield _key(range(before + 1, before + len(chapter) + 1)), chapter


def _to_json(chapter: Sequence[Event]) -> bytes:
    return b"[" + b",\n".join(event.to_json() for event in chapter) + b"]"


def _key(numbers: range) -> str:
    return f"{_FOLDER}{numbers[0]:08d}-{numbers[-1]:08d}.json"
