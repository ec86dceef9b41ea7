"""What backtests keep between runs: trained challengers, verdicts and measured nights.

What workers of other hosts can use is in the storage too (see `kept`), and is fetched from there once.

There is a folder below the root for each state of description and code, and in it one SQLite file that the
processes of a run share. The name of an entry contains the digest of the rows it was computed from, so runs
over other ranges, or over rows that differ from some day on, share the entries they have in common. An entry
is written in one transaction: a run that is killed leaves whole entries or none.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from evergreen.backtest.kept import Kept
from evergreen.errors import EvergreenError

KEPT = 6  # folders, of all pipelines together
LARGEST = 4 * 2**30  # bytes of one; a larger one is cleared

_FILE, _IN_USE, _CLAIMS, _OPENING = "kept.db", "in-use", "claims", "opening"
_TABLE = "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, body BLOB NOT NULL)"


class Cache:
    """Entries by name, in a folder or without one in memory. Each process has its own object.

    `store` is the `s3://` address of what workers of all hosts keep together.
    """

    def __init__(self, folder: Path | None, store: str | None = None) -> None:
        self._kept = Kept(store) if store else None
        self._claims: IO[bytes] | None = None if folder is None else (folder / _CLAIMS).open("a+b")
        # Autocommit: a statement is a transaction. Another process may be writing megabytes: wait for it.
        self._entries = sqlite3.connect(folder / _FILE if folder else ":memory:", 300, isolation_level=None)
        self._folder = folder
        # One at a time: SQLite does not wait for another one that changes to the write-ahead log.
        with self._alone():
            self._entries.execute("PRAGMA journal_mode = WAL")
            self._entries.execute("PRAGMA synchronous = NORMAL")
            self._entries.execute(_TABLE)

    def get(self, name: str) -> bytes | None:
        """The body of an entry, or None."""
        found = self._entries.execute("SELECT body FROM kept WHERE name = ?", (name,)).fetchone()
        if found is not None:
            return bytes(found[0])
        if self._kept is None or not (bodies := self._kept.find(name)):
            return None
        self._insert(bodies)
        return bodies.get(name)

    def put(self, bodies: Mapping[str, bytes]) -> None:
        """Store entries, all or none of them. An existing entry is not replaced.

        What is found by another name than the last is found only after the last one was.
        """
        self._insert(bodies)
        if self._kept is not None:
            self._kept.put(bodies)

    def _insert(self, bodies: Mapping[str, bytes]) -> None:
        self._entries.execute("BEGIN IMMEDIATE")
        try:
            self._entries.executemany("INSERT INTO kept VALUES (?, ?) ON CONFLICT DO NOTHING", bodies.items())
        except BaseException:
            self._entries.execute("ROLLBACK")
            raise
        self._entries.execute("COMMIT")

    @contextmanager
    def claim(self, name: str) -> Iterator[None]:
        """Lock an entry: other processes that claim it wait. The lock is released if the process dies."""
        if self._claims is None:
            yield
            return
        # The lock is on one byte of the file, chosen by the name: no lock files remain, and a collision of
        # two names only makes one process wait.
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])
        fcntl.lockf(self._claims, fcntl.LOCK_EX, 1, place)
        try:
            yield
        finally:
            fcntl.lockf(self._claims, fcntl.LOCK_UN, 1, place)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep every other object of the same folder out, also those of this process's other threads."""
        if self._folder is None:
            yield
            return
        # `flock` is held by the opened file, where `lockf` is held by the process.
        with (self._folder / _OPENING).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def close(self) -> None:
        """Close the files."""
        with self._alone():  # the last one to leave takes the log with it
            self._entries.close()
        if self._claims is not None:
            self._claims.close()


@contextmanager
def cache_folder(root: Path, name: str, *, fresh: bool = False) -> Iterator[Path]:
    """The folder `name` below the root, kept from being removed by other runs while it is in use.

    `fresh` empties it first. Older folders, beyond the `KEPT` used last, are removed. Raises
    `EvergreenError` if it is to be emptied while another run uses it.
    """
    folder = root / name
    if (fresh or _size(folder) > LARGEST) and not _removed(folder) and fresh:
        raise EvergreenError(
            f"{folder}: another backtest is using this cache: wait for it to end, or stop it"
        )
    lock = _entered(folder)
    try:
        os.utime(folder)
        others = [path for path in root.iterdir() if (path / _IN_USE).is_file() and path != folder]
        for stale in sorted(others, key=_last_used, reverse=True)[KEPT - 1 :]:
            _removed(stale)
        yield folder
    finally:
        lock.close()


def _entered(folder: Path) -> IO[bytes]:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _IN_USE).open("ab")
        fcntl.flock(lock, fcntl.LOCK_SH)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), (folder / _IN_USE).stat()):
                return lock
        # Another run removed the folder between opening and locking: try again with a new one.
        lock.close()


def _removed(folder: Path) -> bool:
    """Remove a folder that nobody uses; whether it is gone."""
    try:
        lock = (folder / _IN_USE).open("ab")
    except FileNotFoundError:
        return True
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        shutil.rmtree(folder, ignore_errors=True)
    return True


# Another run may remove what was listed a moment ago: a folder, or what SQLite has beside an open file.


def _last_used(folder: Path) -> float:
    with suppress(FileNotFoundError):
        return folder.stat().st_mtime
    return 0.0


def _size(folder: Path) -> int:
    size = 0
    for path in folder.glob(f"{_FILE}*"):
        with suppress(FileNotFoundError):
            size += path.stat().st_size
    return size
