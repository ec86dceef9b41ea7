"""Records of JSON or CSV to Arrow, with types that do not depend on the values of one day."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from operator import itemgetter
from typing import Any

import pyarrow as pa

from evergreen.errors import SourceError
from evergreen.rows.batches import Rejected, Rows
from evergreen.rows.columns import check_names, declared
from evergreen.rows.spill import Spill
from evergreen.shown import shown
from evergreen.sources.text.declared import declared_array, json_text
from evergreen.sources.text.types import IN_CSV, IN_JSON, READINGS, fit, read

MOST_COLUMNS = 2_000
MOST_REJECTED = 100_000  # they are kept in memory
_BLOCK_ROWS = 65_536
_BLOCK_BYTES = 16 * 2**20
_EXACT = 2**53  # above it not every whole number has a float64 of its own
_KINDS: dict[type, str] = {
    bool: "truth values",
    int: "numbers",
    float: "numbers",
    Decimal: "numbers",
    str: "text",
}
_ARROW = {None: pa.null(), "truth values": pa.bool_(), "numbers": pa.float64()}


@dataclass(frozen=True)
class _Known:
    """What is known of a column so far: its kind of values, and what all its text may be read as."""

    kind: str | None = None
    readings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """Records as columns, and what they say of the columns; records that are rejected."""

    batch: pa.RecordBatch | None
    known: Mapping[str, _Known]
    rejected: tuple[Rejected, ...]


class _MisfitsError(Exception):
    """Records that cannot be kept: why, by their index."""

    def __init__(self, reasons: dict[int, str]) -> None:
        super().__init__()
        self.reasons = reasons


class RecordSpool:
    """Records on their way to rows: kept in a temporary file until the types of all columns are known.

    One column a field, in order of first appearance; an absent field is null. Numbers are float64, booleans
    stay; text is text, unless every value is an ISO 8601 time with an offset: then `timestamp[us, UTC]`.
    Objects and lists are kept as JSON text, NaN is no value. `types` declares what a column is instead. With
    `csv` every value is text, which is read as `text_types.read` says, or `fit` for a declared column.
    """

    def __init__(self, types: Mapping[str, str] = {}, csv: bool = False) -> None:
        self.rejected: list[Rejected] = []
        self._types = dict(types)
        self._is_csv = csv
        self._known: dict[str, _Known] = {}
        self._spill = Spill()

    def add(self, records: Sequence[Mapping[str, Any]], place: Callable[[int], str]) -> None:
        """Keep records; `place` says where the one at an index stands, such as `page 3, record 17`.

        Records that do not fit a declared type, or hold no fields or no Unicode, are rejected. Raises
        `SourceError` for a field that mixes kinds, a whole number beyond 2**53, and more than 2,000 fields or
        100,000 rejected records; nothing of `records` is then kept.
        """
        self.keep(self.prepare(records, place))

    def prepare(self, records: Sequence[Mapping[str, Any]], place: Callable[[int], str]) -> Prepared:
        """The work of `add`, without its effect."""
        if len(self.rejected) > MOST_REJECTED:
            raise SourceError(f"more than {MOST_REJECTED:,} records cannot be read: mend the source")
        try:
            columns, known = self._columns(records)
            batch = pa.record_batch(columns) if records else None
        except (_MisfitsError, UnicodeEncodeError, RecursionError) as error:
            reasons = error.reasons if isinstance(error, _MisfitsError) else _unkeepable(records)
            good = [at for at in range(len(records)) if at not in reasons]
            rest = self.prepare([records[at] for at in good], lambda at: place(good[at]))
            misfits = (Rejected(_raw(records[at]), place(at), why) for at, why in reasons.items())
            return replace(rest, rejected=(*rest.rejected, *misfits))
        return Prepared(batch, known, ())

    def keep(self, prepared: Prepared) -> None:
        """Keep what `prepare` made of the records that come next."""
        if prepared.batch is not None:
            self._spill.write(prepared.batch)
        self._known |= prepared.known
        self.rejected += prepared.rejected

    def add_rejected(self, rejected: Rejected) -> None:
        """Note a record that could not be read at all."""
        self.rejected.append(rejected)

    def rows(self) -> Rows:
        """All records as rows; to be called once, after the last `add`. `Rows.close` closes the spool."""
        schema = pa.schema([(name, self._type(name)) for name in self._known])
        check_names(schema.names)
        readings = {name: known.readings[0] for name, known in self._known.items() if known.readings}
        return Rows(schema, _Settled(self._spill, schema, readings), self.rejected)

    def close(self) -> None:
        """Give the temporary file's space back."""
        self._spill.close()

    @property
    def unsaved(self) -> int:
        """How many bytes of rows were added since the last `save`."""
        return self._spill.untaken

    def save(self) -> tuple[bytes, dict[str, Any]]:
        """The rows added since the last call, and what is known of all of them as a JSON value."""
        known = {name: [column.kind, list(column.readings)] for name, column in self._known.items()}
        rejected = [[record.text, record.place, record.reason] for record in self.rejected]
        return self._spill.take(), {"columns": known, "rejected": rejected}

    def restore(self, parts: Iterable[bytes], state: Mapping[str, Any]) -> None:
        """Take up, in a fresh spool, what `save` returned: all parts in order, and the last state."""
        for part in parts:
            self._spill.restore(part)
        self._known = {name: _Known(kind, tuple(read)) for name, (kind, read) in state["columns"].items()}
        self.rejected = [Rejected(*values) for values in state["rejected"]]

    def _columns(self, records: Sequence[Mapping[str, Any]]) -> tuple[dict[str, pa.Array], dict[str, _Known]]:
        if not all(records):
            raise _MisfitsError({at: "has no fields" for at, record in enumerate(records) if not record})
        values = _transposed(records)
        if len(self._known.keys() | values.keys()) > MOST_COLUMNS:
            raise SourceError(
                f"more than {MOST_COLUMNS:,} different fields: send what differs from record to record as "
                "values, not as names"
            )
        columns = self._declared({name: values[name] for name in values if name in self._types})
        known: dict[str, _Known] = {}
        for name, those in values.items():
            if name in self._types:
                known[name] = _Known("declared")
            else:
                columns[name], known[name] = self._inferred(name, those)
        return {name: columns[name] for name in values}, known

    def _declared(self, values: Mapping[str, Sequence[Any]]) -> dict[str, pa.Array]:
        columns: dict[str, pa.Array] = {}
        reasons: dict[int, str] = {}
        for name, those in values.items():
            if self._is_csv:
                columns[name], misfits = fit(pa.array(those, pa.string()), self._types[name])
            else:
                columns[name], misfits = declared_array(those, self._types[name])
            reasons |= {at: f"field '{shown(name)}': {why}" for at, why in misfits.items()}
        if reasons:
            raise _MisfitsError(dict(sorted(reasons.items())))
        return columns

    def _inferred(self, name: str, values: Sequence[Any]) -> tuple[pa.Array, _Known]:
        known = self._known.get(name, _Known())
        if known.kind == "text":
            with suppress(pa.ArrowTypeError, pa.ArrowInvalid):
                return self._text(pa.array(values, pa.string()), known)
        if float in (types := set(map(type, values))) and not types <= {float, int, type(None)}:
            values = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
            types = set(map(type, values))
        kinds = {_KINDS.get(kind, "objects") for kind in types - {type(None)}}
        if kinds == {"numbers"}:
            column = _numbers(name, values, types)
            kinds = kinds if column.null_count < len(column) else set()  # all of them NaN
        if len(both := kinds | {known.kind} - {None}) > 1:
            raise SourceError(
                f"field '{shown(name)}' holds {' and '.join(sorted(map(str, both)))} in one partition: the "
                "source must keep to one kind, or declare its type under 'types'"
            )
        if not kinds:
            return pa.nulls(len(values)), known
        match kind := kinds.pop():
            case "numbers":
                return column, replace(known, kind=kind)
            case "truth values":
                return pa.array(values, pa.bool_()), replace(known, kind=kind)
            case "objects":
                texts = [None if value is None else json_text(value) for value in values]
                return pa.array(texts, pa.string()), replace(known, kind=kind)
        return self._text(pa.array(values, pa.string()), known)

    def _text(self, texts: pa.Array, known: _Known) -> tuple[pa.Array, _Known]:
        left = known.readings if known.kind else IN_CSV if self._is_csv else IN_JSON
        return texts, _Known("text", tuple(one for one in left if read(texts, one) is not None))

    def _type(self, name: str) -> pa.DataType:
        if name in self._types:
            return declared(self._types[name])
        known = self._known[name]
        if known.readings:
            return READINGS[known.readings[0]]
        return _ARROW.get(known.kind, pa.string())


@dataclass
class _Settled:
    """The spilled batches in their final schema, in blocks of a good size."""

    spill: Spill
    schema: pa.Schema
    readings: Mapping[str, str]
    pending: list[pa.RecordBatch] = field(default_factory=list)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            rows = size = 0
            for batch in self.spill:
                self.pending.append(self._settled(batch))
                rows, size = rows + batch.num_rows, size + batch.nbytes
                if rows >= _BLOCK_ROWS or size >= _BLOCK_BYTES:
                    yield from self._block()
                    rows = size = 0
            yield from self._block()
        finally:
            self.close()

    def close(self) -> None:
        self.spill.close()

    def _block(self) -> Iterator[pa.RecordBatch]:
        table = pa.Table.from_batches(self.pending, self.schema)
        self.pending = []
        yield from table.combine_chunks().to_batches()

    def _settled(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [self._column(batch, field) for field in self.schema]
        return pa.record_batch(columns, schema=self.schema)

    def _column(self, batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
        at = batch.schema.get_field_index(field.name)
        if at < 0 or pa.types.is_null(batch.schema.field(at).type):
            return pa.nulls(batch.num_rows, field.type)
        column = batch.column(at)
        return column if column.type == field.type else read(column, self.readings[field.name])


def _transposed(records: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[Any]]:
    """The values by field, in order of first appearance; fast where all records have the same fields."""
    if not records:
        return {}
    first = list(records[0])
    if set(map(len, records)) == {len(first)}:
        try:
            return {name: list(map(itemgetter(name), records)) for name in first}
        except KeyError:
            pass  # other fields, as many of them
    names = dict.fromkeys(name for record in records for name in record)
    if len(names) > MOST_COLUMNS:
        return dict.fromkeys(names, ())
    return {name: [record.get(name) for record in records] for name in names}


def _numbers(name: str, values: Sequence[Any], types: set[type]) -> pa.Array:
    if Decimal in types:
        values = [float(value) if isinstance(value, Decimal) else value for value in values]
    try:
        return pa.array(values, pa.float64(), from_pandas=True)
    except (pa.ArrowInvalid, OverflowError):
        raise SourceError(
            f"field '{shown(name)}' holds a whole number beyond 2**53: the source must send it as text, or "
            "declare its type under 'types'"
        ) from None


def _unkeepable(records: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    reasons = {}
    for at, record in enumerate(records):
        try:
            for name, value in record.items():
                f"{name}{value if isinstance(value, str) else json_text(value)}".encode()
        except UnicodeEncodeError:
            reasons[at] = "holds text that is not Unicode"
        except RecursionError:
            reasons[at] = "is nested too deeply"
    if not reasons:
        raise SourceError("records cannot be kept: their text is not Unicode, mend the source")
    return reasons


def _raw(record: Mapping[str, Any]) -> str:
    try:
        return json_text(dict(record))
    except RecursionError:
        return "{...}"
