"""Corrections of quarantined rows: kept in the storage, and applied whenever the partition is published.

A correction is stored at `<pipeline>/corrections/<partition>/<id>.json` and identifies the row by its
original text. A row of the source with that text is replaced before validation. Once the source has fixed the
row, the text no longer occurs and the correction has no effect.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evergreen.errors import (
    IntegrityError,
    RefusedError,
)
from evergreen.rows.batches import Rejected, Rows
from evergreen.together import together
from evergreen.validation.quarantine import (
    QUARANTINE,
    fit,
    restore,
    row_id,
    to_text,
)

if TYPE_CHECKING:
    from evergreen.storage import Storage


@dataclass(frozen=True)
class Correction:
    """A correction of a quarantined row: `corrected` has the changed columns, None to release it unchanged.

    `original` is the row's text in quarantine, `place` the position of a record that could not be read, `by`
    the login name of the person who corrected it and `reason` why. `etag` is that of the stored object; None
    for a correction that is not stored yet.
    """

    original: str
    corrected: Mapping[str, Any] | None
    by: str
    reason: str
    place: str = ""
    etag: str | None = field(default=None, compare=False)

    @property
    def id(self) -> str:
        """The row's name in quarantine."""
        return row_id(self.original, self.place)

    @property
    def changes(self) -> bool:
        """Whether this correction, or the one it replaces, changes the row."""
        return self.corrected is not None or self.etag is not None

    def to_json(self) -> bytes:
        """The stored object."""
        names = ("original", "place", "corrected", "by", "reason")
        content = {"id": self.id, **{name: getattr(self, name) for name in names}}
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode()

    @classmethod
    def from_json(cls, body: bytes, etag: str) -> Correction:
        """What `to_json` wrote; raises `ValueError`, `TypeError` or `KeyError` if it is no correction."""
        content = dict(json.loads(body))
        new = content["corrected"]
        texts = {name: str(content[name]) for name in ("original", "by", "reason", "place")}
        return cls(corrected=None if new is None else dict(new), etag=etag, **texts)


class Corrections:
    """The stored corrections of a pipeline. They are listed once and read on demand."""

    def __init__(self, storage: Storage, pipeline: str) -> None:
        self._storage, self._pipeline = storage, pipeline

    def of(self, partition: str) -> tuple[Correction, ...]:
        """The partition's corrections; raises `IntegrityError` for one that cannot be read."""
        return tuple(together(self._read, self._keys.get(partition, [])))

    def write(self, partition: str, corrections: Iterable[Correction]) -> None:
        """Store corrections: a new one is created, one that has an `etag` takes the place of that object.

        Raises `ConflictError` if somebody else wrote one of them first.
        """

        def write(correction: Correction) -> None:
            key = f"{self._folder}{partition}/{correction.id}.json"
            if correction.etag is None:
                self._storage.create(key, correction.to_json())
            else:
                self._storage.replace(key, correction.to_json(), correction.etag)

        together(write, corrections)
        self.__dict__.pop("_keys", None)

    @property
    def _folder(self) -> str:
        return f"{self._pipeline}/corrections/"

    @cached_property
    def _keys(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key in self._storage.list(self._folder):
            partition, _, name = key.removeprefix(self._folder).partition("/")
            if name.endswith(".json"):
                found.setdefault(partition, []).append(key)
        return found

    def _read(self, key: str) -> Correction:
        stored = self._storage.read(key)
        try:
            return Correction.from_json(stored.body, stored.etag)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise IntegrityError(
                f"{self._storage.uri(key)} is no correction: delete it, then release the row again"
            ) from None


def corrected(rows: Rows, corrections: Sequence[Correction]) -> Rows:
    """The rows with each original replaced by its correction; rows of unreadable records come last.

    A corrected record is removed from `rejected`, which is complete when all batches were read.
    Raises `RefusedError`, naming id and column, for a correction that does not fit the rows' schema.
    """
    changes = _changes(rows.schema, corrections)
    if not changes.rows and not changes.records:
        return rows
    rejected: list[Rejected] = []
    return Rows(rows.schema, _Corrected(rows, changes, rejected), rejected)


def originals(quarantined: pa.Table, schema: pa.Schema, corrections: Sequence[Correction]) -> pa.Table:
    """The quarantine, in which a corrected row that still breaks an expectation has its original text again.

    So it keeps its id and can be corrected again. `schema` is that of the rows that were validated.
    """
    by_text = {to_text(row): correction for correction, row in _changes(schema, corrections).made}
    if not by_text:
        return quarantined
    entries = []
    for entry in quarantined.to_pylist():
        if (correction := by_text.get(entry["row"])) is not None:
            reason = f"{entry['reason']}, as {correction.by} corrected it"
            entry |= {"row": correction.original, "place": correction.place, "reason": reason}
        entries.append(entry)
    return pa.Table.from_pylist(entries, QUARANTINE)


@dataclass(frozen=True)
class _Changes:
    """Corrections for rows of one schema, by the text of the original row, or a record's text and place."""

    schema: pa.Schema
    rows: Mapping[str, dict[str, Any]]
    records: Mapping[tuple[str, str], dict[str, Any]]
    made: Sequence[tuple[Correction, dict[str, Any]]]

    @cached_property
    def _wanted(self) -> list[tuple[int, pa.Array]]:
        """By column, the values that originals have there: a fast filter before a row is written as text."""
        rows = pa.Table.from_pylist([restore(text, self.schema) for text in self.rows], self.schema)
        plain = (at for at, kind in enumerate(self.schema.types) if not pa.types.is_nested(kind))
        return [(at, pc.unique(rows.column(at))) for at in plain]

    def moved(self, rejected: Iterable[Rejected]) -> dict[str, list[dict[str, Any]]]:
        """By text the corrections of records that stand elsewhere now, as behind a line that is new."""
        there = {(record.text, record.place) for record in rejected}
        found: dict[str, list[dict[str, Any]]] = {}
        for (text, place), row in self.records.items():
            if (text, place) not in there:
                found.setdefault(text, []).append(row)
        return found

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with its corrected rows replaced."""
        if not self.rows:
            return batch
        likely = np.arange(batch.num_rows)
        for at, values in self._wanted:
            column = batch.column(at).take(pa.array(likely))
            found = pc.is_in(column, value_set=values)
            if pa.types.is_floating(column.type):
                found = pc.or_(found, pc.fill_null(pc.is_nan(column), False))
            likely = likely[found.to_numpy(zero_copy_only=False)]
            if not len(likely):
                return batch
        places = np.arange(batch.num_rows)
        new: list[dict[str, Any]] = []
        for place, row in zip(likely.tolist(), batch.take(pa.array(likely)).to_pylist(), strict=True):
            if (change := self.rows.get(to_text(row))) is not None:
                places[place] = batch.num_rows + len(new)
                new.append(change)
        if not new:
            return batch
        both = pa.concat_batches([batch, pa.RecordBatch.from_pylist(new, self.schema)])
        return both.take(pa.array(places))


@dataclass(frozen=True)
class _Corrected:
    """Batches with corrections applied."""

    source: Rows
    changes: _Changes
    rejected: list[Rejected]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self.source:
                yield self.changes.batch(batch)
            corrected_rows = []
            moved = self.changes.moved(self.source.rejected)
            for record in self.source.rejected:
                row = self.changes.records.get((record.text, record.place))
                if row is None and moved.get(record.text):
                    row = moved[record.text].pop(0)
                if row is None:
                    self.rejected.append(record)
                else:
                    corrected_rows.append(row)
            if corrected_rows:
                yield pa.RecordBatch.from_pylist(corrected_rows, self.source.schema)
        finally:
            self.close()

    def close(self) -> None:
        self.source.close()


def _changes(schema: pa.Schema, corrections: Sequence[Correction]) -> _Changes:
    """The corrections that change rows, for rows of one schema."""
    rows: dict[str, dict[str, Any]] = {}
    records: dict[tuple[str, str], dict[str, Any]] = {}
    made = []
    for correction in corrections:
        if correction.corrected is None:
            continue
        try:
            values = fit(schema, correction.corrected)
        except ValueError as error:
            raise RefusedError(
                f"correction {correction.id}: {error}: release the row again with other values"
            ) from None
        if correction.place:
            new = records[correction.original, correction.place] = dict.fromkeys(schema.names) | values
        else:
            try:
                original = restore(correction.original, schema)
            except ValueError:
                continue  # the columns have changed so much that no row can match it
            new = rows[to_text(original)] = original | values
        made.append((correction, new))
    return _Changes(schema, rows, records, made)
