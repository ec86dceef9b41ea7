"""What features look back to, kept in a server's memory and followed as partitions are published.

What counts is the lake: a partition is known by the digest in the name of its file. Its rows are taken from
PostgreSQL where `serving.look_back` names one that has them, else from the lake, and never without their
digest being right. Where the storage is out of reach, what is in memory goes on answering, and its age grows.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.errors import EvergreenError, IntegrityError, NotFoundError, UnavailableError
from evergreen.features.columns import columns_read
from evergreen.features.published import published_rows
from evergreen.lake import PARTITION, Table
from evergreen.look_back.blob import as_read, digest_of, rows_of
from evergreen.look_back.keep import looked_back_to
from evergreen.look_back.store import Kept, opened
from evergreen.pipeline import Pipeline
from evergreen.units import written_duration

_PATIENCE = timedelta(seconds=10)  # with a statement, after which rows are read from the lake
_MOST = 32  # partitions beyond the window, and look-backs in one piece, that are kept
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class LookedBack:
    """The published rows before a partition that its features look back to.

    `rows` have `partition` and the columns of the lake's table that are read. `digest` names them: the same
    partitions with the same rows give the same one. `newest` is the newest published partition before the one
    asked for, and `age` how long before its beginning that ended; None where there is none. `stale` says that
    this is longer than `serving.look_back.max_age`.
    """

    rows: pa.Table = field(repr=False)
    digest: str
    newest: str | None
    age: timedelta | None
    stale: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """What an answer says of it, as JSON values; the age in seconds."""
        age = None if self.age is None else self.age.total_seconds()
        return {"digest": self.digest, "newest": self.newest, "age_seconds": age, "stale": self.stale}


class _Newest(Generic[T]):
    """The values that were put in last, by partition. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[str, T] = OrderedDict()

    def get(self, partition: str) -> T | None:
        with self._lock:
            return self._values.get(partition)

    def put(self, partition: str, value: T) -> None:
        with self._lock:
            self._values[partition] = value
            while len(self._values) > _MOST:
                self._values.popitem(last=False)


@dataclass(frozen=True)
class _Window:
    """What was published at one version of the table, and the rows of some of it, by partition.

    `schema` has the columns that are read.
    """

    version: int
    schema: pa.Schema
    files: Mapping[str, str]
    rows: Mapping[str, pa.Table] = field(repr=False)
    beyond: _Newest[pa.Table] = field(repr=False)
    joined: _Newest[LookedBack] = field(repr=False)


class LookBack:
    """The look-back of a pipeline's partitions; `pipeline` has the features that look back.

    Safe to use from several threads: `refresh` puts a new window in the place of the last one, and a reader
    keeps the one that it began with.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._refreshing = threading.Lock()
        self._window: _Window | None = None

    def refresh(self) -> bool:
        """Take in what was published since; whether anything was. One request where nothing was.

        Raises `UnavailableError` or `StorageError` where the storage does not answer, and `IntegrityError`
        for a damaged file: the window then stays as it was.
        """
        with self._refreshing:
            before = self._window
            if before is not None and before.version == self._version():
                return False
            now = self._listed()
            wanted = looked_back_to(self._pipeline, now.files)
            known = {
                key: before.rows[key]
                for key, file in wanted.items()
                if before and before.schema == now.schema and before.files.get(key) == file
                if key in before.rows
            }
            missing = [key for key in wanted if key not in known]
            self._window = replace(now, rows={**known, **self._read(now, missing)})
            return True

    def _version(self) -> int:
        """The version of the lake's table; -1 where there is none yet."""
        try:
            return self._pipeline.lake.version(Table.PARTITIONS)
        except NotFoundError:
            return -1

    def _listed(self) -> _Window:
        """What is published, at one version of the table, without rows."""
        lake = self._pipeline.lake
        while True:
            version, files = self._version(), lake.files(Table.PARTITIONS)
            schema = lake.schema(Table.PARTITIONS) or pa.schema([])
            # Read one after the other: they are of one version if nothing was published meanwhile.
            if self._version() == version:
                read = columns_read(self._pipeline.spec, schema.names)
                schema = pa.schema([schema.field(name) for name in read])
                return _Window(version, schema, files, {}, _Newest(), _Newest())

    def before(self, partition: str) -> LookedBack | None:
        """What the partition's features look back to; None where they do not look back.

        Raises `UnavailableError` where it is older than `serving.look_back.max_age` and the description does
        not allow it, and as `refresh` does where rows must be read first.
        """
        first = self._pipeline.spec.looks_back_to(partition)
        if first == partition:
            return None
        window = self._seen()
        found = window.joined.get(partition)
        if found is None:
            found = self._joined(window, first, partition)
            window.joined.put(partition, found)
        self._check_age(found, partition)
        return found

    def of(self, partition: str) -> pa.Table | None:
        """The partition's own rows, if it is published; raises as `refresh` does."""
        window = self._seen()
        return self._rows(window, [partition])[0] if partition in window.files else None

    @property
    def newest(self) -> str | None:
        """The newest published partition, as far as is known."""
        window = self._window
        return max(window.files, default=None) if window else None

    def _seen(self) -> _Window:
        if self._window is None:
            self.refresh()
        assert self._window is not None
        return self._window

    def _rows(self, window: _Window, keys: Sequence[str]) -> list[pa.Table]:
        """The rows of published partitions, from memory as far as they are there."""
        kept = {key: window.rows.get(key, window.beyond.get(key)) for key in keys}
        found = {key: rows for key, rows in kept.items() if rows is not None}
        read = self._read(window, [key for key in keys if key not in found])
        for key, rows in read.items():
            window.beyond.put(key, rows)
        return [(found | read)[key] for key in keys]

    def _joined(self, window: _Window, first: str, partition: str) -> LookedBack:
        keys = _between(window.files, first, partition)
        empty = as_read(window.schema.empty_table(), "", window.schema)
        table = pa.concat_tables([empty, *self._rows(window, keys)]).combine_chunks()
        digest = look_back_digest(window.files, first, partition)
        newest = max((key for key in window.files if key < partition), default=None)
        return LookedBack(
            table, digest, newest, self._age(newest, partition), self._is_stale(newest, partition)
        )

    def _age(self, newest: str | None, partition: str) -> timedelta | None:
        calendar = self._pipeline.spec.calendar
        return None if newest is None else calendar.start(partition) - calendar.end(newest)

    def _is_stale(self, newest: str | None, partition: str) -> bool:
        look_back, calendar = self._pipeline.spec.serving.look_back, self._pipeline.spec.calendar
        if look_back is None or look_back.max_age is None:
            return False
        # What begins where max_age does may still be missing: the one before it ends there.
        oldest = calendar.shift(calendar.back(partition, look_back.max_age), -1)
        return newest is None or newest < oldest

    def _check_age(self, found: LookedBack, partition: str) -> None:
        look_back = self._pipeline.spec.serving.look_back
        if not found.stale or look_back is None or look_back.stale == "allow":
            return
        name = self._pipeline.name
        ends = "nothing is published before it"
        if found.age is not None:
            before = written_duration(found.age)
            ends = f"the newest partition before it is {found.newest}, which ends {before} before it begins"
        raise UnavailableError(
            f"{name} {partition}: its look-back is too old: {ends}, and serving.look_back.max_age is "
            f"{look_back.max_age}: ingest what is missing, or write 'stale: allow'"
        )

    def _read(self, window: _Window, keys: Sequence[str]) -> dict[str, pa.Table]:
        """The rows of published partitions: from the database those that it has, the others from the lake."""
        if not keys:
            return {}
        rows = dict(self._right(window, self._in_database(keys)))
        rest = [key for key in keys if key not in rows]
        return rows | self._from_lake(window, rest) if rest else rows

    def _in_database(self, keys: Sequence[str]) -> dict[str, Kept]:
        """What the database has of these partitions; nothing if it fails."""
        look_back = self._pipeline.spec.serving.look_back
        if look_back is None or look_back.conn_id is None:
            return {}
        try:
            connection = self._pipeline.connect(look_back.conn_id)
            with opened(connection, self._pipeline.name, read_only=True, timeout=_PATIENCE) as store:
                found = store.read(min(keys), max(keys))
        except EvergreenError as error:
            _log.warning("%s: its look-back is read from the lake: %s", self._pipeline.name, error)
            return {}
        return {key: found[key] for key in keys if key in found}

    def _right(self, window: _Window, found: Mapping[str, Kept]) -> Iterable[tuple[str, pa.Table]]:
        """The partitions whose blob has the rows that the lake names."""
        for key, kept in found.items():
            if kept.digest != digest_of(window.files[key]):
                continue
            try:
                yield key, as_read(rows_of(kept.blob, kept.digest), key, window.schema)
            except IntegrityError as error:
                _log.warning(
                    "%s %s: its blob in the database is damaged (%s), its rows are read from the lake: run "
                    "evergreen look-back %s",
                    self._pipeline.name,
                    key,
                    error,
                    self._pipeline.name,
                )

    def _from_lake(self, window: _Window, keys: Sequence[str]) -> dict[str, pa.Table]:
        rows = published_rows(self._pipeline, min(keys), max(keys), window.version)
        return {key: rows.filter(pc.equal(rows.column(PARTITION), key)) for key in keys}


def look_back_digest(files: Mapping[str, str], first: str, partition: str) -> str:
    """The digest of a look-back from `first` to before `partition`, of the names of the lake's files."""
    named = json.dumps([[key, files[key]] for key in _between(files, first, partition)])
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def _between(files: Mapping[str, str], first: str, partition: str) -> list[str]:
    return sorted(key for key in files if first <= key < partition)
