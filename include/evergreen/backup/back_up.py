"""The backup of one pipeline: its objects by their content, and then the manifest that names them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.backup.copies import Copies
from evergreen.backup.manifest import Entry, Manifest, manifest_key, newest, numbers
from evergreen.backup.pin import Pin, pin
from evergreen.belongings import BELONGINGS, Role, home_of, part_of
from evergreen.data_docs.store import FOLDER, INDEX
from evergreen.errors import ConflictError, NotFoundError
from evergreen.registry.event_log import POINTER

if TYPE_CHECKING:
    from evergreen.backup.place import Place
    from evergreen.storage import Listed, Storage

_PASSES = 3


@dataclass(frozen=True)
class BackedUp:
    """A backup that was made: its number, what it holds, and what is wrong with what was found, a line each.

    `copied` are the objects that were read for it; `new` says whether it differs from the one before.
    """

    pipeline: str
    number: int
    objects: int
    bytes: int
    copied: int
    new: bool
    problems: Sequence[str] = ()


def back_up(storage: Storage, pipeline: str, place: Place, done: Callable[[str], None]) -> BackedUp:
    """Make a backup of all that is kept of a pipeline, while others may write to it.

    What earlier backups, finished or not, have of the same objects is not read again. Where nothing has
    changed since the newest one, none is added. `done` is called with each key that is copied.

    Raises `NotFoundError` for what is no pipeline or has nothing, `ConflictError` if objects vanish all the
    time, and `IntegrityError` if the newest manifest at the place is damaged.
    """
    home = home_of(storage, pipeline)
    if not home.look(""):
        raise NotFoundError(f"{pipeline}: there is nothing at {home.uri()}: ingest a partition first")
    before = newest(place, pipeline)
    copies = Copies(home, place, pipeline, done)
    copies.know(before.entries if before else ())
    for attempt in range(1, _PASSES + 1):
        try:
            entries, problems = _one_pass(home, pipeline, copies)
        except NotFoundError:
            continue
        if not problems or attempt == _PASSES:
            break
    else:
        raise ConflictError(
            f"{pipeline}: objects vanish from {home.uri()} while they are copied: run again when "
            "no clean-up runs"
        )
    if before and [one.content for one in before.entries] == [one.content for one in entries]:
        number, new = before.number, False
    else:
        number, new = max(numbers(place, pipeline), default=0) + 1, True
        place.create(manifest_key(pipeline, number), Manifest(pipeline, number, entries).to_json())
    copies.forget_begun()
    size = sum(entry.size for entry in entries)
    return BackedUp(pipeline, number, len(entries), size, copies.read, new, problems)


def _one_pass(home: Storage, pipeline: str, copies: Copies) -> tuple[list[Entry], list[str]]:
    """The entries of what belongs together, and what is wrong with it.

    Raises `NotFoundError` if something vanished meanwhile.
    """
    telling = [one for one in home.look("") if _tells(one.key)]
    entries = copies.make(sorted(telling, key=_index_first), may_vanish=True)
    marks = pin(home, pipeline)
    found = [one for one in home.look("") if marks.holds(one.key)]
    keys = {one.key for one in found}
    problems = [f"version {lost} is in the history and missing" for lost in marks.lost(keys)]
    problems += _lost_rows(home, pipeline, marks, keys)
    entries += copies.make(found)
    if marks.pointer is not None:
        entries.append(copies.keep(POINTER, marks.pointer))
    return sorted(entries, key=lambda entry: entry.key), problems


def _lost_rows(home: Storage, pipeline: str, marks: Pin, keys: set[str]) -> list[str]:
    """A line for each table whose log at the mark names files that are not among the keys."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    from evergreen.delta_errors import last_cause, plain
    from evergreen.lake_check import present_files

    problems = []
    for table, version in marks.tables.items():
        folder = f"lake/{table}"
        try:
            opened = DeltaTable(home.uri(folder), version=version, storage_options=home.delta_options)
            files = itertools.chain(*present_files(opened).values())
            gone = [file for file in files if f"{folder}/{file.path}" not in keys]
        except (DeltaError, OSError, ValueError) as error:
            problems.append(f"lake table '{table}' cannot be read ({last_cause(plain(error))})")
            continue
        problems += [f"lake table '{table}': {file.partition}: {file.path} is gone" for file in gone[:3]]
    return problems


def _tells(key: str) -> bool:
    """Whether the object tells of what is committed; what a later release may keep is taken for such."""
    part = part_of(key)
    return part not in BELONGINGS or BELONGINGS[part].role is Role.TELLS


def _index_first(found: Listed) -> tuple[bool, str]:
    # An index is copied before the pages that it names, which are written before it.
    return found.key != f"{FOLDER}/{INDEX}", found.key
