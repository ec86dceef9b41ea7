"""The history of a pipeline's models in the storage, and the pointer that follows from it.

`history/<seq>.json` is the truth about what was promoted, refused and rolled back; `champion.json` follows
from it. A writer that dies between the two does no harm: the next one brings the pointer up to date. Nor does
a pointer that is damaged or differs from a whole history: then the history is read. Only where events are
missing or damaged does the pointer say what they led to. Which events there are, their objects say; what is
in those of `chapters` is read from these.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from evergreen.errors import ConflictError, IntegrityError, NotFoundError, UnavailableError
from evergreen.readable import readable
from evergreen.registry.chapters import SIZE, Chapters
from evergreen.registry.history import Event, Force, fold, missing
from evergreen.registry.versions import MANIFEST, file_key
from evergreen.together import together

if TYPE_CHECKING:
    from evergreen.storage import Storage

POINTER = "champion.json"
_ATTEMPTS = 100
_BLOCK = 10  # events read at once on the way back
_FAR = 5 * SIZE  # and further on
_log = logging.getLogger(__name__)

Decide = Callable[[list[Event], Force], Event]
"""Makes the next event from all events so far and what is in force; an old one if there is nothing to add."""


class EventLog:
    """The events of `pipeline`, and its pointer; `storage` is already at the pipeline's folder.

    With `singly` no event is read from a chapter.
    """

    def __init__(self, storage: Storage, pipeline: str, *, singly: bool = False) -> None:
        self._storage = storage
        self._pipeline = pipeline
        self._singly = singly
        self._chapters = Chapters(storage, pipeline)
        self._read: dict[str, Event] = {}  # an event never changes

    def events(self) -> list[Event]:
        """All events, oldest first."""
        return self._after(0)

    def force(self) -> Force:
        """Which version is in force for which partitions now.

        Raises `IntegrityError` if neither the history nor the pointer says it.
        """
        pointer, etag = self.found()
        try:
            events = self.whole(pointer)
        except IntegrityError as damage:
            return self._in_spite_of(damage, pointer, etag)
        force = fold(events)
        if problem := self.lie(pointer, events):
            _log.warning("%s: %s, so the history is read", self._pipeline, problem)
        return force

    def pointed(self) -> Force:
        """What the pointer and the events after it say, as servers believe it, however long the history is.

        The history itself is read where the pointer cannot be, or events after it are missing; then raises as
        `force`.
        """
        pointer, _ = self.found()
        later = self._after(pointer.seq) if pointer else []
        if pointer is None or _broken(pointer.seq, later):
            return self.force()
        return fold(later, pointer)

    def numbered(self, last: int, count: int, newest: int) -> list[Event]:
        """The events up to number `last`, so many or all of them, oldest first.

        `newest` is the number of the last event of all. Raises `IntegrityError` if one of those asked for is
        missing or damaged.
        """
        numbers = range(max(1, last - count + 1), last + 1)
        self._read_chapters(numbers, newest)
        try:
            return self._events_at([event_key(seq) for seq in numbers])
        except NotFoundError:
            there = set(self._storage.list("history/"))
            raise self._incomplete(next(s for s in numbers if event_key(s) not in there)) from None

    def back_to(self, as_of: str, force: Force | None = None) -> list[Event]:
        """The newest events, oldest first, back to ten or more in a row that are of earlier partitions.

        With `force` only those that it was computed from. Raises as `numbered`.
        """
        newest = (force or self.pointed()).seq
        last, found, size = newest, list[Event](), _BLOCK
        while last:
            block = self.numbered(last, size, newest)
            found, last = [*block, *found], block[0].seq - 1
            # Far back by whole chapters, each of which is one object.
            size = last % _FAR or _FAR
            if all(event.as_of < as_of for event in block):
                break
        return found

    def found(self) -> tuple[Force | None, str | None]:
        """What the pointer says, None if it cannot be read, and its tag, None if there is no pointer.

        Read it before the events: those that it knows are then among them.
        """
        stored = self._storage.find(POINTER)
        if stored is None:
            return Force(), None
        try:
            with readable(self._pipeline, POINTER, self._storage):
                return Force.from_json(stored.body), stored.etag
        except IntegrityError:
            return None, stored.etag

    def whole(self, pointer: Force | None) -> list[Event]:
        """All events; raises `IntegrityError` if one is damaged, or one before the last is missing.

        The last is the one that the pointer knows, if it is a pointer of this pipeline.
        """
        events = self.events()
        if gap := missing(events):
            raise self._incomplete(gap)
        if pointer is not None and pointer.seq > len(events) and self._is_ours(pointer, events):
            raise self._incomplete(len(events) + 1)
        return events

    def lie(self, pointer: Force | None, events: list[Event]) -> str | None:
        """What is wrong with a pointer beside the whole history, and the remedy; None if nothing is.

        A pointer that is missing, or that is at an earlier event, is not wrong.
        """
        if pointer == fold(event for event in events if pointer and event.seq <= pointer.seq):
            return None
        what = "does not match the history" if pointer else "cannot be read"
        champion = fold(events).champion()
        remedy = (
            f"evergreen models promote {self._pipeline} {champion} writes it again"
            if champion
            else f"delete it in {self._storage.uri()}"
        )
        return f"{POINTER} {what}: {remedy}"

    def chapter_problems(self, events: list[Event]) -> list[str]:
        """What is wrong with the chapters beside the whole history, a line each."""
        return self._chapters.problems(events)

    def write_chapters(self) -> None:
        """Store the chapters that a writer which was killed has left out. Raises as `whole`."""
        self._chapters.write(self.whole(self.found()[0]))

    def append(self, decide: Decide) -> Event:
        """Add the event that `decide` makes of the history, and return it.

        If another writer takes the number first, the history is read again and `decide` is called again.
        """
        for attempt in range(_ATTEMPTS):
            pointer, _ = self.found()
            events = self.whole(pointer)
            force = fold(events)
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
            self._chapters.write([*events, event])
            return event
        raise UnavailableError(f"{self._pipeline}: too many writers of its history: run the stage again")

    def _after(self, seq: int) -> list[Event]:
        keys = self._storage.list("history/", after=event_key(seq))
        numbers = [*map(_number, keys)]
        self._read_chapters(numbers, newest=max(numbers, default=0))
        return self._events_at(keys)

    def _read_chapters(self, numbers: Iterable[int], newest: int) -> None:
        """Read the chapters that have several of the events; what they lack is read event by event.

        The unfinished one is named by `newest`, the number of the last event of all.
        """
        if self._singly or newest < SIZE:
            return
        unread = Counter(-(-seq // SIZE) * SIZE for seq in numbers if event_key(seq) not in self._read)
        wanted = [min(last, newest) for last, count in unread.items() if count > 1]
        for chapter in together(self._chapters.read, wanted):
            self._read |= {event_key(event.seq): event for event in chapter}

    def _events_at(self, keys: Sequence[str]) -> list[Event]:
        unread = [key for key in keys if key not in self._read]
        bodies = together(lambda key: self._storage.read(key).body, unread)
        for key, body in zip(unread, bodies, strict=True):
            with readable(self._pipeline, key, self._storage):
                event = Event.from_json(body)
                if event_key(event.seq) != key:
                    raise ValueError("it is another event's")
                self._read[key] = event
        return [self._read[key] for key in keys]

    def _move_pointer(self) -> None:
        for attempt in range(_ATTEMPTS):
            pointer, etag = self.found()
            events = self.events()
            force = fold(events)
            if etag is not None and pointer == force:
                return
            try:
                if etag is None:
                    self._storage.create(POINTER, force.to_json())
                else:
                    self._storage.replace(POINTER, force.to_json(), etag)
            except ConflictError:
                _wait(attempt)
        raise UnavailableError(f"{self._pipeline}: too many writers of {POINTER}: run the stage again")

    def _is_ours(self, pointer: Force, events: list[Event]) -> bool:
        """Whether the pointer names a version that there is or was."""
        named = {event.version for event in events}
        return any(
            version in named or self._storage.exists(file_key(version, MANIFEST))
            for _, version in pointer.stack
        )

    def _incomplete(self, seq: int) -> IntegrityError:
        return IntegrityError(
            f"{self._pipeline}: the history has no event {seq}: restore {event_key(seq)} in "
            f"{self._storage.uri()} from a backup"
        )

    def _in_spite_of(self, damage: IntegrityError, pointer: Force | None, etag: str | None) -> Force:
        """What the pointer and the events after it say, where an event before them is damaged or missing."""
        if pointer is None or etag is None or not self._is_ours(pointer, []):
            raise damage
        later = self._after(pointer.seq)
        if _broken(pointer.seq, later):
            raise damage
        _log.warning("%s; until then %s says what is in force", damage, POINTER)
        return fold(later, pointer)


def event_key(seq: int) -> str:
    """Where event number `seq` is."""
    return f"history/{seq:08d}.json"


def _number(key: str) -> int:
    """The number of the event that is there; 0 if the name is none of an event."""
    number = key.removeprefix("history/").removesuffix(".json")
    return int(number) if number.isdecimal() else 0


def _broken(seq: int, later: Sequence[Event]) -> bool:
    """Whether an event is missing among those after number `seq`."""
    return [event.seq for event in later] != list(range(seq + 1, seq + 1 + len(later)))


def _wait(attempt: int) -> None:
    time.sleep(random.uniform(0, min(0.02 * 2**attempt, 1.0)))  # noqa: S311 - spreads writers, hides nothing
