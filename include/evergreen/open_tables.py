"""The Delta tables of one lake, kept open: the newest version at each call, or for a while the same one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deltalake import DeltaTable

from evergreen.lake_check import Present, present_files

if TYPE_CHECKING:
    from evergreen.storage import Storage

Files = Mapping[str, list[Present]]


class _Opened(threading.local):
    """What one thread has opened; a table changes when it is refreshed, so threads may not share one.

    `steady` has the names of those that stay as they are until further notice, `files` the files of a table
    at the version at which somebody asked for them last, and `past` the tables at the version that was asked
    for last.
    """

    def __init__(self) -> None:
        self.tables: dict[str, DeltaTable] = {}
        self.steady: set[str] | None = None
        self.files: dict[str, tuple[DeltaTable, int, Files]] = {}
        self.past: dict[str, DeltaTable] = {}


class OpenTables:
    """The tables below `<prefix>/<pipeline>/lake/`, by name.

    A table that was opened once is refreshed: that takes one request, where opening it takes one for every
    commit since the last checkpoint. So a table that somebody deletes is noticed by others only.
    """

    def __init__(self, storage: Storage, pipeline: str) -> None:
        self._storage = storage
        self._folder = f"{pipeline}/lake"
        self._mine = _Opened()

    def uri(self, table: str) -> str:
        """The address of a table."""
        return self._storage.uri(f"{self._folder}/{table}")

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Within it, and in this thread, a table stays as it is when it is first asked for."""
        mine = self._mine
        if mine.steady is not None:  # part of a longer while
            yield
            return
        mine.steady = set()
        try:
            yield
        finally:
            mine.steady = None

    def now(self, table: str) -> DeltaTable:
        """The table as it is now; raises deltalake's errors, such as `TableNotFoundError`."""
        mine = self._mine
        if mine.steady is not None and table in mine.steady:
            return mine.tables[table]
        # Forgotten while it is refreshed, so that one whose refresh failed is opened anew.
        if opened := mine.tables.pop(table, None):
            opened.update_incremental()
        return self.keep(table, opened or self._loaded(table))

    def at(self, table: str, version: int | None) -> DeltaTable:
        """The table as it was at a version, or is now; the former is opened once for all who read it."""
        if version is None:
            return self.now(table)
        past = self._mine.past
        if table not in past or past[table].version() != version:
            past[table] = self._loaded(table, version)
        return past[table]

    def _loaded(self, table: str, version: int | None = None) -> DeltaTable:
        return DeltaTable(self.uri(table), version=version, storage_options=self._storage.delta_options)

    def keep(self, table: str, opened: DeltaTable) -> DeltaTable:
        """Keep a table that was opened elsewhere, and return it."""
        mine = self._mine
        mine.tables[table] = opened
        if mine.steady is not None:
            mine.steady.add(table)
        return opened

    def files(self, table: str) -> Files:
        """The files of each partition, by its key; raises as `now`."""
        return self.present(table, self.now(table))

    def present(self, table: str, opened: DeltaTable) -> Files:
        """The same of a table that is open."""
        version = opened.version()
        known = self._mine.files.get(table)
        if known is None or known[0] is not opened or known[1] != version:
            known = self._mine.files[table] = opened, version, present_files(opened)
        return known[2]
