"""What must hold of a lake whatever was done: seen by a reader who polls, and found when it is still."""

from __future__ import annotations

import io
import json
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import pyarrow.parquet as pq

from evergreen.errors import NotFoundError
from evergreen.lake import Lake, Table
from evergreen.storage import Storage
from tests.campaign import FULL
from tests.faults.meters import (
    DAYS,
    NAME,
    TABLES,
    Reading,
    by_partition,
    generation_of,
    generations,
    published,
)

_VERSION = re.compile(r"(\d{20})\.json")
_PAUSE = 0.25 if FULL else 0.5  # seconds between two polls, so that they are not all that the machine does


class Watcher:
    """Reads the lake again and again, as a user would, and takes note of every state that it sees.

    A state that is no whole generation of the source, or older than the one before, goes to `violations`.
    """

    def __init__(self) -> None:
        self.polls = 0
        self.states: set[tuple[str, Table, str, int]] = set()
        self.violations: list[str] = []
        self._lake: Lake | None = None
        self._prefix = ""
        self._last: dict[tuple[Table, str], int] = {}
        self._following = threading.Lock()
        self._stop = threading.Event()
        self._polled = threading.Condition()
        self._wake = threading.Event()
        self._wanted = 0
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def look(self) -> None:
        """Wait until the reader has seen what is there now: a poll that began after this call has ended."""
        with self._polled:
            self._wanted = self.polls + 2  # the one that is under way may have begun before
            self._wake.set()
            assert self._polled.wait_for(lambda: self.polls >= self._wanted, timeout=120), "the reader hangs"

    def follow(self, storage: Storage) -> None:
        """Read the lake of this store from now on."""
        with self._following:
            self._lake, self._prefix, self._last = Lake(storage, NAME), storage.prefix, {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._stop.is_set():
            if self.polls >= self._wanted:
                self._wake.wait(_PAUSE)
                self._wake.clear()
            with self._following:
                if self._lake is None:
                    continue
                for table in TABLES:
                    self._look(self._lake, table)
            with self._polled:
                self.polls += 1
                self._polled.notify_all()

    def _look(self, lake: Lake, table: Table) -> None:
        try:
            found = generations(table, published(lake, table))
        except NotFoundError:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, a reader must never see it
            self.violations.append(f"{self._prefix}: {type(error).__name__}: {error}")
            return
        for day, generation in found.items():
            before = self._last.get((table, day), 0)
            if generation < before:
                self.violations.append(f"{self._prefix}: {table} {day}: went from {before} to {generation}")
            self._last[table, day] = generation
            self.states.add((self._prefix, table, day, generation))


@dataclass
class Found:
    """What lies about in a store that is still: figures to report, and `problems` that must not be."""

    versions: int = 0
    states: int = 0
    orphans: int = 0
    problems: list[str] = field(default_factory=list)


def check_published(storage: Storage, generation: int) -> list[str]:
    """After a good run every row of the source is exactly once in the lake, and nothing else is left.

    Returns what is not so.
    """
    lake, problems = Lake(storage, NAME), []
    for table in TABLES:
        try:
            there = generations(table, published(lake, table))
        except AssertionError as error:
            problems.append(f"{storage.prefix} {error}")
            continue
        if there != dict.fromkeys(DAYS, generation):
            problems.append(f"{storage.prefix} {table}: {there} was published, not generation {generation}")
    if staged := storage.list(f"{NAME}/staging/"):
        problems.append(f"{storage.prefix} staging was left behind: {staged}")
    return problems


def check_nothing_lost(storage: Storage) -> list[str]:
    """Whatever was killed, rows that are published are so with those of them that are in quarantine.

    The source's rows of a generation are in one of the two tables, so a day whose `partitions` are newer than
    its `quarantine` has lost some. Returns what is not so.
    """
    lake = Lake(storage, NAME)
    there = {table: dict.fromkeys(DAYS, 0) for table in TABLES}
    for table in TABLES:
        with suppress(NotFoundError):
            there[table] = generations(table, published(lake, table))
    rows, held_back = (there[table] for table in TABLES)
    return [
        f"{storage.prefix} {day}: rows of generation {rows[day]}, in quarantine are those of {held_back[day]}"
        for day in DAYS
        if rows[day] > held_back[day]
    ]


def unfinished_uploads(storage: Storage) -> list[str]:
    """Keys of uploads in parts that were begun and neither ended nor given up."""
    answer = storage._client.list_multipart_uploads(Bucket=storage.bucket, Prefix=storage.prefix)
    return [upload["Key"] for upload in answer.get("Uploads", [])]


def check_history(storage: Storage) -> Found:
    """Replay the logs of both tables: no gap, and every version ever was a whole state of the source."""
    found = Found()
    for table in TABLES:
        _replay(storage, table, found)
    return found


def _replay(storage: Storage, table: Table, found: Found) -> None:
    folder = f"{NAME}/lake/{table}/"
    keys = [key.removeprefix(folder) for key in storage.list(folder)]
    log = sorted(key.removeprefix("_delta_log/") for key in keys if key.startswith("_delta_log/"))
    versions = [int(match[1]) for name in log if (match := _VERSION.fullmatch(name))]
    if versions != list(range(len(versions))):
        found.problems.append(f"{table}: the log has a gap: {versions}")
    found.problems += [f"{table}: '{name}' was left in the log" for name in log if "tmp" in name]
    active: dict[str, dict[str, int]] = {day: {} for day in DAYS}
    files = _Files(storage, folder, table)
    added: set[str] = set()
    for version in versions:
        body = storage.read(f"{folder}_delta_log/{version:020}.json").body
        touched = _apply([json.loads(line) for line in body.splitlines()], active)
        for day in touched:
            added |= active[day].keys()
            try:
                rows = [row for path, size in active[day].items() for row in files.rows(path, size, day)]
                generation_of(table, day, rows)
            except AssertionError as error:
                found.problems.append(f"{storage.prefix} version {version}: {error}")
            found.states += 1
    found.versions += len(versions)
    found.orphans += sum(
        key.endswith(".parquet") and key not in added for key in keys if "_delta_log/" not in key
    )


def _apply(actions: list[dict[str, Any]], active: dict[str, dict[str, int]]) -> set[str]:
    """Take one version's actions into account; returns the partitions that they touch."""
    touched = set()
    removed = [action["remove"]["path"] for action in actions if "remove" in action]
    for path in removed:
        for day, files in active.items():
            if files.pop(path, None) is not None:
                touched.add(day)
    for action in actions:
        if add := action.get("add"):
            day = add["partitionValues"]["partition"]
            active[day][add["path"]] = add["size"]
            touched.add(day)
    return touched


class _Files:
    """The rows of a table's data files, each read once."""

    def __init__(self, storage: Storage, folder: str, table: Table) -> None:
        self._storage, self._folder, self._table = storage, folder, table
        self._read: dict[str, tuple[int, list[Reading]]] = {}

    def rows(self, path: str, size: int, day: str) -> list[Reading]:
        """The rows of one file; raises `AssertionError` if it has not the size that the log says."""
        if path not in self._read:
            body = self._storage.read(self._folder + path).body
            rows = pq.ParquetFile(io.BytesIO(body)).read()
            if "partition" in rows.column_names:
                rows = rows.drop_columns(["partition"])
            rows = rows.append_column("partition", [[day] * len(rows)])
            self._read[path] = len(body), by_partition(self._table, rows).get(day, [])
        there, readings = self._read[path]
        assert there == size, f"{self._table} {day}: file {path} has {there} bytes, the log says {size}"
        return readings
