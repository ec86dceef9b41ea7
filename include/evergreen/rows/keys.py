"""The keys of a partition's rows: which are missing, and which are repeated. Exact, in flat memory."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evergreen.rows.spill import Spill

SHOWN = 3  # keys that are shown as examples
_IN_MEMORY = 16 * 2**20  # bytes of keys that are not written to a temporary file
_SHORT = 2**32 - 1  # the longest step that fits into 4 bytes
_TOGETHER = 1_000_000  # rows with equal hashes that are compared at a time
_ROWS, _COUNT = "rows", "count_all"

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_FOLD = np.uint64(32)
# The first n bytes of a little-endian word.
_FIRST_BYTES = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)

Codes = NDArray[np.uint64]


@dataclass(frozen=True)
class KeysFound:
    """Missing and repeated keys of some rows.

    `nulls` counts, by key column, the rows without a value there, and `null_rows` the rows without a value in
    at least one of them. Among the other rows, `repeated` counts those whose key another row has too,
    `repeated_keys` their distinct keys, and `examples` shows the smallest three of these: `7, x (2 rows)`.
    """

    rows: int
    nulls: Mapping[str, int]
    null_rows: int
    repeated: int = 0
    repeated_keys: int = 0
    examples: tuple[str, ...] = ()


class KeySet:
    """The keys of rows that come batch by batch, all of one schema.

    A key has one column or several; null and NaN count as missing, -0.0 equals 0.0. A key of one number,
    time, date or boolean is kept as it is, any other key as a 64-bit hash. Memory is 4 bytes a row while keys
    ascend; else 8, and twice that while `check` runs. Keys with equal hashes are then compared by value; if
    there are many, they are kept in a temporary file.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._rows = self._null_rows = 0
        self._nulls = dict.fromkeys(self._names, 0)
        self._codes: list[_Packed] = []
        self._schema: pa.Schema | None = None
        self._kept = _Kept()

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in rows; a key column that they do not have is null in all of them."""
        self._rows += batch.num_rows
        keys = self._present(batch)
        if not keys.num_rows:
            return
        self._schema = keys.schema
        self._codes.append(_Packed.of(_codes(keys)))
        if not _by_value(keys.schema):
            self._kept.add(keys)

    def check(self) -> KeysFound:
        """What was found in all rows so far."""
        repeated = distinct = 0
        smallest: list[pa.Table] = []
        for keys in self._repeated():
            repeated += pc.sum(keys.column(_ROWS)).as_py()
            distinct += keys.num_rows
            order = [(name, "ascending") for name in keys.column_names]
            smallest = [pa.concat_tables([*smallest, keys]).sort_by(order).slice(0, SHOWN)]
        examples = tuple(_shown(row) for table in smallest for row in table.to_pylist())
        return KeysFound(self._rows, dict(self._nulls), self._null_rows, repeated, distinct, examples)

    def _present(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The key columns of the rows that have a value in all of them."""
        columns = [_comparable(batch, name) for name in self._names]
        absent: pa.Array | None = None
        for name, column in zip(self._names, columns, strict=True):
            if column.null_count:
                self._nulls[name] += column.null_count
                missing = pc.is_null(column)
                absent = missing if absent is None else pc.or_(absent, missing)
        keys = pa.RecordBatch.from_arrays(columns, names=[str(at) for at in range(len(columns))])
        if absent is None:
            return keys
        self._null_rows += pc.sum(absent).as_py()
        return keys.filter(pc.invert(absent))

    def _repeated(self) -> Iterator[pa.Table]:
        """Keys that come more than once, and in how many rows, in parts."""
        if not self._codes or self._schema is None:
            return
        if all(part.ascends for part in self._codes) and all(
            after.first > before.last for before, after in pairwise(self._codes)
        ):  # as most times come
            return
        codes = np.concatenate([part.codes for part in self._codes])
        codes.sort()
        again = codes[1:][codes[1:] == codes[:-1]]
        if not len(again):
            return
        starts = np.flatnonzero(np.concatenate([[True], again[1:] != again[:-1]]))
        counts = np.diff(starts, append=len(again)) + 1
        if _by_value(self._schema):
            values = _values(again[starts], self._schema.types[0])
            yield pa.table([values, pa.array(counts)], names=["0", _ROWS])
        else:
            yield from self._looked_at_again(again[starts], counts)

    def _looked_at_again(self, suspects: Codes, counts: NDArray[np.int64]) -> Iterator[pa.Table]:
        """The keys that are really equal among those with equal hashes; a bounded number at a time."""
        assert self._schema is not None
        part = np.cumsum(counts) // _TOGETHER
        names = self._schema.names
        for number in np.unique(part):
            wanted = suspects[part == number]
            seen = [
                keys.filter(pa.array(np.isin(_codes(keys), wanted))).group_by(names).aggregate([([], _COUNT)])
                for keys in map(_table, self._kept)
            ]
            found = pa.concat_tables(seen).group_by(names).aggregate([(_COUNT, "sum")])
            found = found.rename_columns([*names, _ROWS])
            found = found.filter(pc.greater(found.column(_ROWS), 1))
            if found.num_rows:
                yield found


@dataclass(frozen=True)
class _Packed:
    """Codes of a batch; if they ascend in short steps, only the steps are kept."""

    first: np.uint64
    last: np.uint64
    ascends: bool
    steps: NDArray[np.uint32] | None
    plain: Codes | None

    @classmethod
    def of(cls, codes: Codes) -> _Packed:
        ascends = bool(np.all(codes[1:] > codes[:-1]))
        steps = np.diff(codes) if ascends else None
        if steps is not None and (not len(steps) or steps.max() <= _SHORT):
            return cls(codes[0], codes[-1], True, steps.astype(np.uint32), None)
        return cls(codes[0], codes[-1], ascends, None, codes)

    @property
    def codes(self) -> Codes:
        if self.plain is not None:
            return self.plain
        assert self.steps is not None
        first = np.array([self.first], np.uint64)
        return np.cumsum(np.concatenate([first, self.steps]), dtype=np.uint64)


class _Kept:
    """Batches of keys: in memory while there are few, else in a temporary file."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._size = 0
        self._spill: Spill | None = None

    def add(self, keys: pa.RecordBatch) -> None:
        self._size += keys.nbytes
        if self._spill is None and self._size <= _IN_MEMORY:
            self._batches.append(keys)
            return
        if self._spill is None:
            self._spill = Spill()
            weakref.finalize(self, self._spill.close)
        self._spill.write(keys)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield from self._batches
        if self._spill is not None:
            yield from self._spill


def _table(keys: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([keys])


def _shown(row: Mapping[str, object]) -> str:
    *key, rows = row.values()
    return f"{', '.join(map(str, key))} ({rows} rows)"


def _comparable(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A key column in which equal values are equal bytes, and no value is null."""
    at = batch.schema.get_field_index(name)
    if at < 0:
        return pa.nulls(batch.num_rows, pa.bool_())
    column, types = batch.column(at), pa.types
    if types.is_null(column.type):
        return pa.nulls(batch.num_rows, pa.bool_())
    if types.is_floating(column.type):
        numbers = pc.add(column.cast(pa.float64()), 0.0)  # -0.0 becomes 0.0
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    if types.is_nested(column.type):
        texts = [None if value is None else json.dumps(value, default=str) for value in column.to_pylist()]
        return pa.array(texts, pa.string())
    return column


def _is_word(kind: pa.DataType) -> bool:
    types = pa.types
    tests = (types.is_integer, types.is_float64, types.is_timestamp, types.is_date32, types.is_boolean)
    return any(test(kind) for test in tests)


def _by_value(schema: pa.Schema) -> bool:
    return len(schema) == 1 and _is_word(schema.types[0])


def _codes(keys: pa.RecordBatch | pa.Table) -> Codes:
    """A word for each row: the value itself, or a hash."""
    columns = [one.combine_chunks() if isinstance(one, pa.ChunkedArray) else one for one in keys.columns]
    if _by_value(keys.schema):
        return _words(columns[0])
    codes: Codes = np.zeros(keys.num_rows, np.uint64)
    for column in columns:
        if _is_word(column.type):
            codes = _mixed(codes, _words(column))
        else:
            _mix_texts(codes, column.cast(pa.string()))
    return codes


def _words(column: pa.Array) -> Codes:
    """Values of at most 64 bits as words, in the order of whole numbers from the lowest on."""
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    if pa.types.is_date32(kind):
        column = column.view(pa.int32())
    if pa.types.is_timestamp(kind) or pa.types.is_float64(kind):
        column = column.view(pa.int64())
    words: Codes = column.to_numpy().astype(np.int64).view(np.uint64)
    return words


def _values(words: Codes, kind: pa.DataType) -> pa.Array:
    """The inverse of `_words`."""
    if pa.types.is_boolean(kind):
        return pa.array(words).cast(kind)
    numbers = pa.array(words.view(np.uint64 if pa.types.is_uint64(kind) else np.int64))
    if pa.types.is_integer(kind):
        return numbers.cast(kind)
    return numbers.cast(pa.int32()).view(kind) if pa.types.is_date32(kind) else numbers.view(kind)


def _mixed(codes: Codes, words: Codes) -> Codes:
    mixed: Codes = (codes ^ words) * _FACTOR
    mixed ^= mixed >> _FOLD
    mixed *= _FACTOR
    return mixed


def _mix_texts(codes: Codes, texts: pa.Array) -> None:
    """Mix each text into its row's code, eight bytes of every text at a time."""
    _, offsets, values = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    starts, lengths = ends[:-1] - ends[0], np.diff(ends)
    body = np.zeros(ends[-1] - ends[0] + 8, np.uint8)
    if values is not None:
        body[:-8] = np.frombuffer(values, np.uint8)[ends[0] : ends[-1]]
    words = np.ndarray(len(body) - 7, "<u8", body, strides=(1,))
    codes[:] = _mixed(codes, lengths.view(np.uint64))
    rows = np.flatnonzero(lengths)
    while len(rows):
        word = words[starts[rows]] & _FIRST_BYTES[np.minimum(lengths[rows], 8)]
        codes[rows] = _mixed(codes[rows], word)
        starts[rows] += 8
        lengths[rows] -= 8
        rows = rows[lengths[rows] > 0]
