"""Joins sources on equal columns while they stream, and checks the declared cardinality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.errors import RefusedError, SourceError, SpecError
from evergreen.rows.batches import Rejected, Rows
from evergreen.rows.blocks import blocks
from evergreen.rows.keys import SHOWN, KeySet
from evergreen.sources import Join
from evergreen.spec import Spec

_LARGEST = 2.0**63
_DIGITS = 76  # of Arrow's widest decimal


def join_sources(spec: Spec, sources: Mapping[str, Rows]) -> Rows:
    """The sources' rows joined as the description says, in the order of the first source's rows.

    The first source (`join[0].left`, or the only one) streams; the others are read into memory here. The key
    columns of a right side are left out. A whole number is equal to a float64 or decimal of the same value;
    null and NaN match nothing. `one_to_one` requires unique keys on both sides, `many_to_one` on the right. A
    left row without a match gets nulls (`how: left`), or all rows are refused (`how: inner`): no row is ever
    multiplied or dropped. `rejected` has the records of all sources once all batches were read.

    Raises, here or while the batches are read, `RefusedError` naming the first keys that violate the
    cardinality, or a source without rows and columns; `SourceError` for a column that is missing, of another
    type than its counterpart, or of a name that both sides use; `SpecError` for a wrong order of joins; and
    the errors of reading the sources. All sources are always closed in the end.
    """
    first = spec.join[0].left if spec.join else next(iter(spec.sources))
    try:
        _check_order(spec, first)
        left = sources[first]
        if not spec.join:
            return left
        schema, sides = left.schema, []
        for name in (first, *(join.right for join in spec.join)):
            _check_rows(name, sources[name])
        for join in spec.join:
            side = _Side(join, schema, sources[join.right])
            sides.append(side)
            schema = side.schema
    except BaseException:
        for source in sources.values():
            source.close()
        raise
    rejected: list[Rejected] = []
    others = [one for join in spec.join for one in sources[join.right].rejected]
    return Rows(schema, _Joined(left, tuple(sides), rejected, others), rejected)


def _check_order(spec: Spec, first: str) -> None:
    joined = {first}
    for number, join in enumerate(spec.join):
        if join.left not in joined or join.right in joined:
            raise SpecError(
                f"{spec.folder / 'pipeline.yaml'}: join.{number}: '{join.left}' must be among the sources "
                f"joined so far ({', '.join(sorted(joined))}) and '{join.right}' not yet: change the order"
            )
        joined.add(join.right)


@dataclass(frozen=True)
class _Joined:
    """Batches of the left source with the columns of all right sides."""

    left: Rows
    sides: tuple[_Side, ...]
    rejected: list[Rejected]
    others: list[Rejected]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for block in blocks(
                self.left, ()
            ):  # large blocks, because each searches all keys of the right side
                for batch in block.combine_chunks().to_batches():
                    rows = batch
                    for side in self.sides:
                        rows = side.joined(rows)
                    if not any(side.unmatched for side in self.sides):
                        yield rows  # else it only goes on to count the unmatched rows
            for side in self.sides:
                side.check()
            self.rejected.extend([*self.left.rejected, *self.others])
        finally:
            self.close()

    def close(self) -> None:
        self.left.close()


@dataclass
class _Unmatched:
    """Left rows without a match: how many, and the keys of the first."""

    rows: int = 0
    keys: list[str] = field(default_factory=list)

    def add(self, keys: Sequence[pa.Array], absent: pa.Array) -> None:
        self.rows += pc.sum(absent).as_py()
        if (room := SHOWN - len(self.keys)) > 0:
            first = [key.filter(absent).slice(0, room).to_pylist() for key in keys]
            self.keys += [", ".join(map(str, key)) for key in zip(*first, strict=True)]


class _Side:
    """The right side of a join in memory, and the keys seen on its left side."""

    def __init__(self, join: Join, left: pa.Schema, rows: Rows) -> None:
        self._join = join
        right = rows.table()
        _check_columns(join, left, right.schema)
        self._kinds = [_common(join, left.field(a), right.schema.field(b)) for a, b in join.on.items()]
        _check_unique(join, join.right, list(join.on.values()), right)
        self._lookup = _Lookup(
            [_key(right, b, t) for b, t in zip(join.on.values(), self._kinds, strict=True)]
        )
        kept = right.drop_columns(list(join.on.values()))
        self._columns = [column.combine_chunks() for column in kept.columns]
        self.schema = pa.schema([*left, *kept.schema])
        self._left = KeySet(list(join.on)) if join.expect == "one_to_one" else None
        self._unmatched = _Unmatched()

    @property
    def unmatched(self) -> int:
        """How many left rows an inner join would drop."""
        return self._unmatched.rows

    def joined(self, left: pa.RecordBatch) -> pa.RecordBatch:
        """The left rows with this side's columns."""
        if self._left is not None:
            self._left.add(left)
        places = self._lookup.find(_keys(left, list(self._join.on), self._kinds))
        if self._join.how == "inner" and places.null_count:
            self._unmatched.add([left.column(name) for name in self._join.on], places.is_null())
        columns = [*left.columns, *(column.take(places) for column in self._columns)]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def check(self) -> None:
        """Raise `RefusedError` if the left rows violate the cardinality; called after the last batch."""
        join = self._join
        if self._left is not None:
            _refuse_repeated(join, join.left, list(join.on), self._left)
        if self.unmatched:
            raise RefusedError(
                f"source '{join.left}': {self.unmatched} rows have no match in '{join.right}' by "
                f"{', '.join(join.on)}, and 'how: inner' would drop them: {'; '.join(self._unmatched.keys)}: "
                "fix the sources, or write 'how: left' to keep them with nulls"
            )


class _Lookup:
    """Finds the number of the row with a key, among rows with unique keys."""

    def __init__(self, keys: Sequence[pa.Array]) -> None:
        self._values: list[tuple[pa.Array, pa.Array]] = []
        code = keys[0]
        for key in keys[1:]:
            self._values.append((pc.unique(code).drop_null(), pc.unique(key).drop_null()))
            code = self._paired(code, key, len(self._values) - 1)
        self._rows = code

    def find(self, keys: Sequence[pa.Array]) -> pa.Array:
        """The row number of each key; null if there is none, or a part of the key is null."""
        code = keys[0]
        for number, key in enumerate(keys[1:]):
            code = self._paired(code, key, number)
        return pc.index_in(code, value_set=self._rows, skip_nulls=True)

    def _paired(self, code: pa.Array, key: pa.Array, number: int) -> pa.Array:
        """One whole number for the columns so far and the next one; at most the square of the row count."""
        befores, values = self._values[number]
        before = pc.index_in(code, value_set=befores, skip_nulls=True).cast(pa.int64())
        return pc.add(pc.multiply(before, len(values)), pc.index_in(key, value_set=values, skip_nulls=True))


def _check_rows(name: str, rows: Rows) -> None:
    if rows.schema.names:
        return
    why = "check the source, then ingest again"
    if rejected := rows.rejected:
        first = rejected[0]
        why = f"{len(rejected)} records were rejected, the first ({first.place}): {first.reason}"
    raise RefusedError(f"source '{name}' gave no rows: {why}")


def _check_columns(join: Join, left: pa.Schema, right: pa.Schema) -> None:
    for name, schema, keys in ((join.left, left, join.on), (join.right, right, join.on.values())):
        for key in keys:
            if key in schema.names:
                continue
            raise SourceError(
                f"source '{name}' has no column '{key}' to join on (there: {', '.join(schema.names)}): "
                "fix the source or the join in pipeline.yaml"
            )
    ours = {name.lower(): name for name in left.names}
    for name in right.names:
        if name in join.on.values() or name.lower() not in ours:
            continue
        same = ours[name.lower()]
        what = f"both have the column '{name}'" if same == name else f"have the columns '{same}' and '{name}'"
        raise SourceError(
            f"sources '{join.left}' and '{join.right}' {what}, and the lake ignores case: leave one out "
            "(columns or sql of the source)"
        )


def _check_unique(join: Join, name: str, keys: list[str], rows: pa.Table) -> None:
    seen = KeySet(keys)
    for batch in rows.to_batches():
        seen.add(batch)
    _refuse_repeated(join, name, keys, seen)


def _refuse_repeated(join: Join, name: str, keys: list[str], seen: KeySet) -> None:
    found = seen.check()
    if found.repeated:
        raise RefusedError(
            f"source '{name}': {found.repeated_keys} values of {', '.join(keys)} come more than once, which "
            f"breaks 'expect: {join.expect}': {'; '.join(found.examples)}: fix the source or the join in "
            "pipeline.yaml"
        )


def _common(join: Join, left: pa.Field, right: pa.Field) -> pa.DataType:
    """The type in which keys of both sides are compared without loss."""
    types = pa.types
    one, other = left.type, right.type
    # A column without any value fits any type.
    one, other = (other if types.is_null(one) else one), (one if types.is_null(other) else other)
    if types.is_null(one):
        return pa.int64()
    if types.is_floating(one) and types.is_floating(other):
        return pa.float64()
    if _is_number(one) and _is_number(other):
        # A float64 with a fraction equals no whole number.
        return pa.int64()
    if _is_exact(one) and _is_exact(other):
        return pa.decimal256(_DIGITS, max(getattr(one, "scale", 0), getattr(other, "scale", 0)))
    if one != other or types.is_nested(one):
        raise SourceError(
            f"'{join.left}.{left.name}' is {one} and '{join.right}.{right.name}' is {other}: they must be of "
            "one type that is no list (a time is ISO 8601 with an offset): declare it under 'types'"
        )
    return one


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_exact(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def _keys(
    rows: pa.Table | pa.RecordBatch, names: Sequence[str], kinds: Sequence[pa.DataType]
) -> list[pa.Array]:
    return [_key(rows, name, kind) for name, kind in zip(names, kinds, strict=True)]


def _key(rows: pa.Table | pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    """A key column in the common type; null for values that cannot match."""
    column = rows.column(name)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), kind)
    if not pa.types.is_floating(column.type):
        return column.cast(kind)
    if pa.types.is_floating(kind):
        numbers = pc.add(column.cast(kind), 0.0)  # -0.0 becomes 0.0
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, kind), numbers)
    within = pc.and_(pc.greater_equal(column, -_LARGEST), pc.less(column, _LARGEST))
    fits = pc.and_(pc.equal(pc.floor(column), column), within)
    return pc.if_else(fits, column, pa.scalar(None, column.type)).cast(kind)
