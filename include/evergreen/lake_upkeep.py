"""Upkeep of a lake's tables: checkpoints of their logs, and which stored files no reader needs any more.

A table's log is never shortened: each of its versions stays readable, as long as the files that it names are
there. Files are told apart by their names and by when the store took them in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from evergreen.delta_errors import last_cause, plain
from evergreen.errors import UnavailableError
from evergreen.lake_check import CHECKPOINT, COMMIT, present_files

if TYPE_CHECKING:
    from evergreen.lake import Table
    from evergreen.storage import Listed, Storage

LOADING = timedelta(days=1)
"""Longer than any reader takes from listing a log to reading its checkpoint."""

_AT_HAND = 2  # so many of the newest checkpoints stay: a reader may have been told of the one before
_LOG = "/_delta_log/"


def spare_checkpoints(listed: Sequence[Listed], moment: datetime) -> list[Listed]:
    """The files of a table's checkpoints, among all its files, that may be deleted at a moment. Pure.

    A checkpoint repeats all files of a table, so all of them together grow with the square of the
    partitions. Kept are the two newest, those younger than a day, and of the others the last one of each
    doubling of the log: together they are a few times as large as the newest, and to open an old version at
    most half of the commits before it are read.
    """
    stored: dict[int, list[Listed]] = {}
    for entry in listed:
        if match := CHECKPOINT.search(entry.key):
            stored.setdefault(int(match[1]), []).append(entry)
    kept = {version.bit_length(): version for version in sorted(stored)}.values()
    return [
        entry
        for version in sorted(stored)[:-_AT_HAND]
        if version not in kept
        for entry in stored[version]
        if entry.modified < moment - LOADING
    ]


def behind(listed: Sequence[Listed]) -> bool:
    """Whether a table, by its stored files, has commits that its newest checkpoint lacks. Pure."""
    newest = max(_commits(listed), default=-1)
    return newest > max((int(m[1]) for one in listed if (m := CHECKPOINT.search(one.key))), default=-1)


def versions_needed(listed: Sequence[Listed], named: Collection[int], before: datetime) -> list[int]:
    """The versions of a table, by its stored files, whose files must stay beside those of the present. Pure.

    They are those that somebody has `named`, and the one that the table had at `before`. A file of a version
    since then is in that one too, or was stored later.
    """
    found = _commits(listed)
    at = [version for version, entry in found.items() if entry.modified <= before]
    return sorted({*at[-1:], *(version for version in named if version <= max(found, default=-1))})


def unneeded(listed: Sequence[Listed], needed: Collection[str], before: datetime) -> list[Listed]:
    """The files of rows, among all files of a table, that are not `needed` and were stored `before`. Pure.

    `needed` are keys. A file that is younger may be one that a writer commits in a moment.
    """
    return [
        entry
        for entry in listed
        if _LOG not in entry.key and entry.key not in needed and entry.modified < before
    ]


def checkpoint(storage: Storage, pipeline: str, table: Table) -> None:
    """Write a checkpoint of a table's present version, so that opening it takes one object."""
    with _errors(pipeline, table):
        _opened(storage, pipeline, table).create_checkpoint()


def files_at(storage: Storage, pipeline: str, table: Table, version: int | None = None) -> set[str]:
    """The keys, below the pipeline's folder, of the files of rows in a version of a table, by default now."""
    with _errors(pipeline, table):
        present = present_files(_opened(storage, pipeline, table, version))
    return {f"lake/{table}/{file.path}" for files in present.values() for file in files}


def _commits(listed: Sequence[Listed]) -> dict[int, Listed]:
    """The commits of a table by their versions, in order."""
    found = {int(match[1]): entry for entry in listed if (match := COMMIT.search(entry.key))}
    return dict(sorted(found.items()))


def _opened(storage: Storage, pipeline: str, table: Table, version: int | None = None) -> DeltaTable:
    where = storage.uri(f"{pipeline}/lake/{table}")
    return DeltaTable(where, version=version, storage_options=storage.delta_options)


@contextmanager
def _errors(pipeline: str, table: Table) -> Iterator[None]:
    try:
        yield
    except (DeltaError, OSError) as error:
        raise UnavailableError(
            f"{pipeline}: lake table '{table}' cannot be maintained ({last_cause(plain(error))}): run "
            f"evergreen models verify {pipeline}, then again"
        ) from None
