"""A backup put back into a storage that has nothing of the pipeline, or the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from evergreen.backup.copies import COPIES
from evergreen.backup.manifest import content_of
from evergreen.belongings import home_of, rank
from evergreen.errors import ConflictError, IntegrityError, NotFoundError
from evergreen.lake import Lake
from evergreen.registry.registry import Registry
from evergreen.storage import About

if TYPE_CHECKING:
    from evergreen.backup.manifest import Entry, Manifest
    from evergreen.backup.place import Place
    from evergreen.storage import Storage

_IN_MEMORY = 2**20  # bytes of an object that is not put on disk


@dataclass(frozen=True)
class Restored:
    """A backup that was restored; `written` are the objects that were not there yet.

    `problems` are what a check of the models and the lake finds afterwards, a line each.
    """

    pipeline: str
    number: int
    objects: int
    bytes: int
    written: int
    problems: Sequence[str] = ()


def restore(storage: Storage, place: Place, backup: Manifest, done: Callable[[str], None]) -> Restored:
    """Write every object of a backup, each checked against its digest before it is written.

    What names others is written after them, the champion's pointer last, so that a restore that is killed
    leaves nothing that looks whole; run again it goes on. `done` is called with each key that is written.

    Raises `ConflictError`, and writes nothing, if the storage has something else of the pipeline;
    `IntegrityError` for a content that is missing at the place or damaged, `StorageError` for a store that
    ignores conditional writes.
    """
    home = home_of(storage, backup.pipeline)
    there = _there(home, backup)
    missing = [entry for entry in backup.entries if entry.key not in there]
    if missing:
        home.probe()
    steps = sorted({rank(entry.key) for entry in missing})
    for step in steps:
        _write(home, place, backup, [one for one in missing if rank(one.key) == step], done)
    size = sum(entry.size for entry in backup.entries)
    problems = [*Registry(home, backup.pipeline).verify(), *Lake(storage, backup.pipeline).problems()]
    return Restored(backup.pipeline, backup.number, len(backup.entries), size, len(missing), problems)


def _there(home: Storage, backup: Manifest) -> set[str]:
    """The keys of the backup that the storage has already."""
    promised = {entry.key: entry for entry in backup.entries}
    found = home.look("")

    def same(key: str) -> bool:
        if (entry := promised.get(key)) is None:
            return False
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, prefix="evergreen-") as body:
            home.download(key, body)
            return content_of(body) == (entry.size, entry.sha256)

    keys = [one.key for one in found]
    with ThreadPoolExecutor(COPIES) as pool:
        for key, is_same in zip(keys, pool.map(same, keys), strict=True):
            if not is_same:
                raise ConflictError(
                    f"{backup.pipeline}: {home.uri(key)} is not that of backup {backup.number}: restore "
                    f"into a storage without it, or delete it first: evergreen forget {backup.pipeline}"
                )
    return set(keys)


def _write(
    home: Storage, place: Place, backup: Manifest, entries: Sequence[Entry], done: Callable[[str], None]
) -> None:
    """Write objects of one rank; those that name others in the order in which they were written."""

    def write(entry: Entry) -> None:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, prefix="evergreen-") as body:
            _fetch(place, backup, entry, body)
            if rank(entry.key):
                home.create(entry.key, body.read(), entry.note, entry.content_type)
            else:
                home.upload(entry.key, body, About(entry.content_type, entry.note))
        done(entry.key)

    if rank(entries[0].key):
        for entry in sorted(entries, key=lambda one: (one.modified, one.key)):
            write(entry)
        return
    with ThreadPoolExecutor(COPIES) as pool:
        list(pool.map(write, entries))


def _fetch(place: Place, backup: Manifest, entry: Entry, body: IO[bytes]) -> None:
    """Write an object's content into a file; raises `IntegrityError` unless it is what the manifest says."""
    where = f"{backup.pipeline}: {place.uri(entry.at)}, which is {entry.key} of backup {backup.number},"
    try:
        place.download(entry.at, body)
    except NotFoundError:
        raise IntegrityError(f"{where} is gone: take another backup (--number)") from None
    if content_of(body) != (entry.size, entry.sha256):
        raise IntegrityError(f"{where} is damaged: take another backup (--number)")
