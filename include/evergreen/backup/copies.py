"""Objects of a pipeline on their way to the place of backups, each content once and none twice."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import IO, TYPE_CHECKING

from evergreen.backup.manifest import BACKUPS, Entry, content_of, entries_from, entries_to_json
from evergreen.errors import NotFoundError

if TYPE_CHECKING:
    from evergreen.backup.place import Place
    from evergreen.storage import Listed, Storage

COPIES = 8
"""How many objects are copied at the same time."""

_BATCH = 256  # objects after which it is noted what is copied
_IN_MEMORY = 2**20  # bytes of an object that is not put on disk


class Copies:
    """Copies from a pipeline's folder; `done` is called with each key that was copied.

    After each batch what is copied is noted at the place, so that a backup that is killed goes on from there.
    """

    def __init__(self, home: Storage, place: Place, pipeline: str, done: Callable[[str], None]) -> None:
        self._home, self._place, self._done = home, place, done
        self._begun = f"{BACKUPS}{pipeline}/begun/"
        self._known: dict[str, Entry] = {}
        self.read = 0

    def know(self, entries: Iterable[Entry]) -> None:
        """Take the entries of an earlier backup, and of those that were begun and not finished."""
        self._known.update((entry.key, entry) for entry in entries)
        for key in self._place.list(self._begun):
            self._known.update((entry.key, entry) for entry in entries_from(self._place.read(key).body))

    def make(self, objects: Iterable[Listed], may_vanish: bool = False) -> list[Entry]:
        """Copy the objects; raises `NotFoundError` where one has vanished, unless it may."""

        def copy(found: Listed) -> Entry | None:
            try:
                return self._copy(found)
            except NotFoundError:
                if may_vanish:
                    return None
                raise

        entries = []
        with ThreadPoolExecutor(COPIES) as pool:
            for batch in _batches(objects):
                entries += [known for one in batch if (known := self._same(one))]
                made = [entry for entry in pool.map(copy, filter(self._differs, batch)) if entry]
                self._note(made)
                entries += made
        return entries

    def keep(self, key: str, body: bytes) -> Entry:
        """Keep these bytes as the object of a key."""
        return self._kept(io.BytesIO(body), Entry(key, 0, ""))

    def forget_begun(self) -> None:
        """Delete the notes of backups that were not finished: the manifest has more."""
        self._place.delete(self._place.list(self._begun))

    def _same(self, found: Listed) -> Entry | None:
        """The entry of the same object in an earlier backup."""
        known = self._known.get(found.key)
        same = known and (known.etag, known.modified) == (found.etag, found.modified.isoformat())
        return known if same and found.etag else None

    def _differs(self, found: Listed) -> bool:
        return self._same(found) is None

    def _copy(self, found: Listed) -> Entry:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, prefix="evergreen-") as body:
            about = self._home.download(found.key, body)
            described = Entry(
                found.key, 0, "", about.content_type, about.note, found.etag, found.modified.isoformat()
            )
            entry = self._kept(body, described)
        self.read += 1
        self._done(found.key)
        return entry

    def _kept(self, body: IO[bytes], described: Entry) -> Entry:
        size, digest = content_of(body)
        entry = replace(described, size=size, sha256=digest)
        if not self._place.exists(entry.at):
            self._place.upload(entry.at, body)
        return entry

    def _note(self, made: list[Entry]) -> None:
        if made:
            self._known.update((entry.key, entry) for entry in made)
            body = entries_to_json(made)
            name = hashlib.sha256(body).hexdigest()[:16]
            self._place.upload(f"{self._begun}{name}.json", io.BytesIO(body))


def _batches(objects: Iterable[Listed]) -> Iterator[list[Listed]]:
    left = iter(objects)
    while batch := list(islice(left, _BATCH)):
        yield batch
