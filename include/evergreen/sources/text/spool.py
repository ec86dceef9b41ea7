"""Spools columns to a temporary file until the types of all are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import pyarrow as pa

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import SourceError
from evergreen.rows.batches import Rejected, Rows
from evergreen.rows.columns import declared
from evergreen.rows.names import check_declared, check_names
from evergreen.rows.spill import Spill
from evergreen.shown import shown
from evergreen.sources.text.column_types import declared_of
from evergreen.sources.text.lines import Rejections
from evergreen.sources.text.types import read, type_of

MOST_COLUMNS = 2_000
_BLOCK_ROWS = 65_536
_BLOCK_BYTES = 16 * 2**20
_ARROW = {None: pa.null(), "truth values": pa.bool_(), "numbers": pa.float64()}


@dataclass(frozen=True)
class Known:
    """What is known of a column so far: its kind of values, and what all its text may be read as."""

    kind: str | None = None
    readings: tuple[str, ...] = ()


def both_known(name: str, one: Known, other: Known) -> Known:
    """What is known of a column that has the values of both; raises `SourceError` for values of two kinds."""
    if one.kind is None or other.kind is None:
        return one if other.kind is None else other
    check_kinds(name, {one.kind, other.kind})
    return Known(one.kind, tuple(reading for reading in one.readings if reading in other.readings))


def check_kinds(name: str, kinds: Iterable[str]) -> None:
    """Raise `SourceError` for a column that has values of more than one kind."""
    if len(found := set(kinds)) > 1:
        raise SourceError(
            f"field '{shown(name)}' holds {' and '.join(sorted(found))} in one partition: the "
            "source must keep to one kind, or declare its type under 'types'"
        )


@dataclass(frozen=True)
class Prepared:
    """Batches that come next, what is then known of the columns, and records that are rejected.

    A column of text may come in the type that it has so far; then `texts` has for each batch the texts of
    such columns, for the case that a later one is of another type. `seen` names columns of rejected records
    whose type is known from elsewhere.
    """

    batches: tuple[pa.RecordBatch, ...] = ()
    texts: tuple[pa.RecordBatch, ...] = field(default=(), kw_only=True)
    known: Mapping[str, Known] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
    seen: frozenset[str] = field(default=frozenset(), kw_only=True)

    def then(self, other: Prepared) -> Prepared:
        """These, and then those."""
        return Prepared(
            (*self.batches, *other.batches),
            {**self.known, **other.known},
            (*self.rejected, *other.rejected),
            texts=(*self.texts, *other.texts),
            seen=self.seen | other.seen,
        )

    def if_kept(self) -> Prepared:
        """These, without what is known from rejected records alone if no record is kept."""
        return self if self.batches else Prepared(rejected=self.rejected, seen=self.seen)


class Spool:
    """Batches are kept, then given back with one schema: each column in a type that all its values have.

    Columns stand in the order of first appearance; one that a batch lacks is null there. `types` says what
    a column is, whatever its values (see `TextTypes`), and `zone` what a time without an offset means.
    """

    def __init__(self, types: Mapping[str, str] = {}, zone: Zone = UTC_ZONE) -> None:
        self.types = types
        self.zone = zone
        self.known: dict[str, Known] = {}
        self._seen: set[str] = set()
        self._rejections = Rejections()
        self._spill, self._texts = Spill(), Spill()
        self._kept: dict[str, set[str]] = {}  # the types in which a column's values were kept

    def expect(self, names: Iterable[str]) -> None:
        """These columns there are, whether or not there is a row."""
        self.known |= {name: self.known.get(name, Known()) for name in names}

    def keep(self, prepared: Prepared) -> None:
        """Keep what comes next; raises `SourceError` for more rejected records than memory is there for."""
        for batch in prepared.batches:
            self._spill.write(batch)
            for column in batch.schema:
                self._kept.setdefault(column.name, set()).add(str(column.type))
        for texts in prepared.texts:
            self._texts.write(texts)
        self.known |= prepared.known
        self._seen |= prepared.seen
        self._rejections.add(prepared.rejected)

    def absorb(self, other: Spool) -> None:
        """Append all that another spool of the same types has, and close it.

        What `save` gives does not have it. Raises `SourceError` for a column that has values of two kinds,
        and for too many columns.
        """
        check_width(self.known, other.known)
        known = {
            name: both_known(name, self.known.get(name, Known()), found)
            for name, found in other.known.items()
        }
        self._spill.absorb(other._spill)
        self._texts.absorb(other._texts)
        for name, types in other._kept.items():
            self._kept.setdefault(name, set()).update(types)
        self.known |= known
        self._seen |= other._seen
        self._rejections.add(other._rejections.found)

    def rows(self) -> Rows:
        """All rows; to be called once, after the last `keep`. `Rows.close` closes the spool.

        A declared column that no record had is one of nulls, as is a published one that only rejected records
        had. Raises `SourceError` for names that
        `check_names` refuses, and for a declared name that is absent and looks like a misspelt one.
        """
        if self.known:
            check_declared(declared_of(self.types), self.known, alike=True)
            self.expect([*declared_of(self.types), *sorted(self._seen)])
        schema = pa.schema([(name, self._type(name)) for name in self.known])
        check_names(schema.names)
        readings = {name: known.readings[0] for name, known in self.known.items() if known.readings}
        settled = _Settled(self._spill, self._texts_again(schema), schema, readings, self.zone)
        return Rows(schema, settled, self._rejections.found)

    def close(self) -> None:
        """Release the temporary files."""
        self._spill.close()
        self._texts.close()

    @property
    def unsaved(self) -> int:
        """How many bytes of rows were added since the last `save`."""
        return self._spill.untaken + self._texts.untaken

    def save(self) -> tuple[bytes, dict[str, Any]]:
        """The rows added since the last call, and what is known of all of them as a JSON value."""
        known = {name: [column.kind, list(column.readings)] for name, column in self.known.items()}
        rejected = [[record.text, record.place, record.reason] for record in self._rejections.found]
        rows, texts = self._spill.take(), self._texts.take()
        kept = {name: sorted(types) for name, types in self._kept.items()}
        state = {"columns": known, "kept": kept, "rejected": rejected, "seen": sorted(self._seen)}
        return len(rows).to_bytes(8, "big") + rows + texts, state

    def restore(self, parts: Iterable[bytes], state: Mapping[str, Any]) -> None:
        """Load into a new spool what `save` returned: all parts in order, and the last state."""
        for part in parts:
            end = 8 + int.from_bytes(part[:8], "big")
            self._spill.restore(part[8:end])
            self._texts.restore(part[end:])
        self._kept = {name: set(types) for name, types in state["kept"].items()}
        self.known = {name: Known(kind, tuple(read)) for name, (kind, read) in state["columns"].items()}
        self._seen = set(state["seen"])
        self._rejections.add(Rejected(*values) for values in state["rejected"])

    def _texts_again(self, schema: pa.Schema) -> Spill | None:
        """The texts, if a column was first kept in a type that not all of its values have."""
        for name, types in self._kept.items():
            if types - {str(schema.field(name).type), "string", "null"}:
                return self._texts
        self._texts.close()
        return None

    def _type(self, name: str) -> pa.DataType:
        if name in self.types:
            return declared(self.types[name])
        known = self.known[name]
        if known.readings:
            return type_of(known.readings[0])
        return _ARROW.get(known.kind, pa.string())


def check_width(names: Iterable[str], more: Iterable[str]) -> None:
    """Raise `SourceError` for more columns, of both together, than a table may have."""
    if len({*names, *more}) > MOST_COLUMNS:
        raise SourceError(
            f"more than {MOST_COLUMNS:,} different fields: send what differs from record to record as "
            "values, not as names"
        )


@dataclass
class _Settled:
    """The spilled batches in their final schema, in blocks of a good size.

    `texts` has for each batch the texts of the columns that were kept in another type.
    """

    spill: Spill
    texts: Spill | None
    schema: pa.Schema
    readings: Mapping[str, str]
    zone: Zone
    pending: list[pa.RecordBatch] = field(default_factory=list)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            rows = size = 0
            for batch in self._pieces():
                self.pending.append(batch)
                rows, size = rows + batch.num_rows, size + batch.nbytes
                if rows >= _BLOCK_ROWS or size >= _BLOCK_BYTES:
                    yield from self._block()
                    rows = size = 0
            yield from self._block()
        finally:
            self.close()

    def close(self) -> None:
        self.spill.close()
        if self.texts is not None:
            self.texts.close()

    def _block(self) -> Iterator[pa.RecordBatch]:
        table = pa.Table.from_batches(self.pending, self.schema)
        self.pending = []
        yield from table.combine_chunks().to_batches()

    def _pieces(self) -> Iterator[pa.RecordBatch]:
        texts = repeat(None) if self.texts is None else iter(self.texts)
        for batch in self.spill:
            settled = self._settled(batch, next(texts))
            for begin in range(0, settled.num_rows, _BLOCK_ROWS):
                yield settled.slice(begin, _BLOCK_ROWS)

    def _settled(self, batch: pa.RecordBatch, texts: pa.RecordBatch | None) -> pa.RecordBatch:
        columns = [self._column(batch, texts, field) for field in self.schema]
        return pa.record_batch(columns, schema=self.schema)

    def _column(self, batch: pa.RecordBatch, texts: pa.RecordBatch | None, field: pa.Field) -> pa.Array:
        at = batch.schema.get_field_index(field.name)
        if at < 0 or batch.column(at).null_count == batch.num_rows:
            return pa.nulls(batch.num_rows, field.type)
        column = batch.column(at)
        if column.type != field.type and texts is not None and field.name in texts.schema.names:
            column = texts.column(field.name)
        if column.type == field.type:
            return column
        if (settled := read(column, self.readings[field.name], self.zone)) is None:
            raise SourceError(f"column '{shown(field.name)}' was read as {field.type} and is none: run again")
        return settled
