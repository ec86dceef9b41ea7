"""The log of requests: objects that nobody changes, each named by the digest of its bytes.

So many servers can write at once, and whoever writes the same again writes nothing. What is read is all rows
of a partition's objects, each once, in an order that does not depend on who wrote what.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa
import pyarrow.parquet as pq

from evergreen.calendar import Calendar, Length
from evergreen.errors import ConflictError, IntegrityError, NotFoundError
from evergreen.request_log.retention import expired
from evergreen.storage import Listed, Storage
from evergreen.together import together

FOLDER = "requests"
"""Where the log is, below a pipeline's prefix."""


class Kind(StrEnum):
    """What the rows of a log are."""

    PREDICTIONS = "predictions"
    """A row that was asked for and what was answered: see `evergreen.request_log.columns`."""
    SHADOW = "shadow"
    """The predictions of a champion and of its shadow of the same row."""


@dataclass(frozen=True)
class RequestLog:
    """The log below `<prefix>/<pipeline>/requests/`, as `<kind>/<partition>/<digest>.parquet`.

    `storage` is the whole storage. Safe to use from several threads and processes.
    """

    storage: Storage = field(repr=False)
    pipeline: str

    def append(self, kind: Kind, partition: str, rows: pa.Table) -> str | None:
        """Add rows to a partition, and return the key of their object; None where there are no rows.

        Rows of several appends may differ in their columns, but not in the types of a column. Raises
        `StorageError` or `UnavailableError`; whether the object was written then is not known, and the same
        rows may be appended again.
        """
        if not rows.num_rows:
            return None
        body = _as_parquet(rows)
        key = f"{_folder(kind, partition)}{hashlib.sha256(body).hexdigest()}.parquet"
        with suppress(ConflictError):
            self._own.create(key, body)
        return key

    def read(self, kind: Kind, partition: str) -> pa.Table:
        """The rows of a partition, each once; none, without columns, where nothing was logged.

        A column that some of the rows lack is null in them. Raises `IntegrityError` for a damaged object, and
        for columns that have different types.
        """
        keys = self._own.list(_folder(kind, partition))
        found = [rows for rows in together(self.rows, keys) if rows is not None]
        try:
            return (
                _each_once(pa.concat_tables(found, promote_options="permissive")) if found else pa.table({})
            )
        except pa.ArrowException as error:
            where = self._own.uri(_folder(kind, partition))
            raise IntegrityError(
                f"{self.pipeline} {partition}: the objects in {where} have columns of other types ({error}): "
                "delete those of the former shape"
            ) from None

    def rows(self, key: str) -> pa.Table | None:
        """The rows of an object; None where it was deleted since it was listed.

        Raises `IntegrityError` if it is not what was written.
        """
        try:
            body = self._own.read(key).body
        except NotFoundError:
            return None
        if hashlib.sha256(body).hexdigest() != key.rpartition("/")[2].removesuffix(".parquet"):
            raise IntegrityError(
                f"{self.pipeline}: {self._own.uri(key)} is not what was written: delete the object"
            )
        return pq.read_table(pa.BufferReader(body)).replace_schema_metadata(None)

    def look(self, kind: Kind) -> Mapping[str, Sequence[Listed]]:
        """The objects of each partition that has some, by partition, with their keys for `remove`."""
        found: dict[str, list[Listed]] = {}
        for entry in self._own.look(f"{FOLDER}/{kind}/"):
            found.setdefault(entry.key.split("/")[2], []).append(entry)
        return found

    def expire(self, calendar: Calendar, keep: Length, newest: str) -> None:
        """Delete what is kept no longer, of all kinds: see `evergreen.request_log.retention`."""
        for kind in Kind:
            self.remove(expired(calendar, keep, newest, self.look(kind)))

    def remove(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are gone already are ignored."""
        self._own.delete(keys)

    @property
    def _own(self) -> Storage:
        return self.storage.child(self.pipeline)


def _folder(kind: Kind, partition: str) -> str:
    return f"{FOLDER}/{kind}/{partition}/"


def _as_parquet(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows.combine_chunks(), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def _each_once(rows: pa.Table) -> pa.Table:
    """The rows without repetitions, in the order of what they hold, with their columns by name."""
    rows = rows.select(sorted(rows.column_names))
    # By their text: NaN is then equal to itself, and lists can be compared.
    texts = [repr(list(row.values())) for row in rows.to_pylist()]
    first = {text: at for at, text in reversed(list(enumerate(texts)))}
    return rows.take(pa.array([first[text] for text in sorted(first)], pa.int64()))
