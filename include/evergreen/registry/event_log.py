"""The history of a pipeline's models in the storage, and the pointer that follows from it.

`history/<seq>.json` is the truth about what was promoted, refused and rolled back; `champion.json` follows
from it. A writer that dies between the two does no harm: the next one brings the pointer up to date.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from evergreen.errors import ConflictError, IntegrityError, UnavailableError
from evergreen.registry.history import Event, Force, fold
from evergreen.registry.readable import readable

if TYPE_CHECKING:
    from evergreen.storage import Storage

POINTER = "champion.json"
_ATTEMPTS = 100

Decide = Callable[[list[Event], Force], Event]
"""Makes the next event from all events so far and what is in force; an old one if there is nothing to add."""


class EventLog:
    """The events of `pipeline`, and its pointer; `storage` is already at the pipeline's folder."""

    def __init__(self, storage: Storage, pipeline: str) -> None:
        self._storage = storage
        self._pipeline = pipeline
        self._read: dict[str, Event] = {}  # an event never changes

    def events(self) -> list[Event]:
        """All events, oldest first."""
        return self._after(0)

    def force(self) -> Force:
        """Which version is in force for which partitions now."""
        force, _ = self.pointer()
        return fold(self._after(force.seq), force)

    def pointer(self) -> tuple[Force, str | None]:
        """What the pointer says, and its tag; None if there is none. Raises `IntegrityError`."""
        stored = self._storage.find(POINTER)
        if stored is None:
            return Force(), None
        with readable(self._pipeline, POINTER, self._storage):
            return Force.from_json(stored.body), stored.etag

    def append(self, decide: Decide) -> Event:
        """Add the event that `decide` makes of the history, and return it.

        If another writer takes the number first, the history is read again and `decide` is called again.
        """
        pointer, _ = self.pointer()
        for attempt in range(_ATTEMPTS):
            events = self.events()
            force = fold(events)
            if pointer.seq > force.seq:
                raise IntegrityError(
                    f"{self._pipeline}: the history ends at event {force.seq}, {POINTER} knows event "
                    f"{pointer.seq}: restore history/ in {self._storage.uri()} from a backup"
                )
            event = decide(events, force)
            if event.seq <= force.seq:
                self._move_pointer()
                return event
            if not events:
                self._storage.probe()
            try:
                self._storage.create(event_key(event.seq), event.to_json())
            except ConflictError:
                _wait(attempt)
                continue
            self._move_pointer()
            return event
        raise UnavailableError(f"{self._pipeline}: too many writers of its history: run the stage again")

    def forget(self) -> None:
        """Read everything again from the storage from here on."""
        self._read.clear()

    def _after(self, seq: int) -> list[Event]:
        keys = self._storage.list("history/", after=event_key(seq))
        unread = [key for key in keys if key not in self._read]
        if len(unread) <= 1:
            bodies = [self._storage.read(key).body for key in unread]
        else:
            with ThreadPoolExecutor(max_workers=8) as pool:
                bodies = list(pool.map(lambda key: self._storage.read(key).body, unread))
        for key, body in zip(unread, bodies, strict=True):
            with readable(self._pipeline, key, self._storage):
                self._read[key] = Event.from_json(body)
        return [self._read[key] for key in keys]

    def _move_pointer(self) -> None:
        for attempt in range(_ATTEMPTS):
            force, etag = self.pointer()
            events = self._after(force.seq)
            if not events:
                return
            body = fold(events, force).to_json()
            try:
                if etag is None:
                    self._storage.create(POINTER, body)
                else:
                    self._storage.replace(POINTER, body, etag)
            except ConflictError:
                _wait(attempt)
        raise UnavailableError(f"{self._pipeline}: too many writers of {POINTER}: run the stage again")


def event_key(seq: int) -> str:
    """Where event number `seq` is."""
    return f"history/{seq:08d}.json"


def _wait(attempt: int) -> None:
    time.sleep(random.uniform(0, min(0.02 * 2**attempt, 1.0)))  # noqa: S311 - spreads writers, hides nothing
