"""Conforms a partition's rows to the published columns and types, or to those published from now on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.errors import RefusedError, SourceError
from evergreen.rows.names import check_names

Policy = Literal["refuse", "evolve", "ignore_new"]

_MOST_DIGITS = 38  # of a decimal in the lake
_DIGITS = {8: 3, 16: 5, 32: 10, 64: 19}  # of a whole number, by its bits


class UnknownTypeError(RefusedError):
    """A column has no value before anything was published, so its type is not known yet."""


class Conformer:
    """Converts rows from the offered schema to the schema of the partition.

    A column without any value takes the published type, and a number is cast to the published type if the
    cast is lossless. Everything else depends on the policy. `refuse`: no other difference is allowed.
    `ignore_new`: new columns are dropped. `evolve`: new columns are added (once they have a value), missing
    ones are null, and types are widened without loss: int32 to int64, whole numbers to float64 or decimals,
    dates to times, decimals to more digits.

    `schema` is the schema of the batches that `batch` returns, the published columns first. `changes` lists
    the differences from the published schema in words: `column 'x' is new`. `widened` names the columns whose
    published 64-bit whole numbers become float64: the caller checks that none of them is beyond 2**53.

    Raises `RefusedError` naming every column that the policy does not allow.
    """

    def __init__(self, published: pa.Schema | None, offered: pa.Schema, policy: Policy = "refuse") -> None:
        self._first = published is None
        self.changes: tuple[str, ...] = ()
        self.widened: tuple[str, ...] = ()
        self.schema: pa.Schema = offered
        if published is None:
            return
        missing = [name for name in published.names if name not in offered.names]
        new = [column for column in offered if column.name not in published.names]
        types = {
            column.name: _fitting(column.type, offered.field(column.name).type, policy)
            for column in published
            if column.name in offered.names
        }
        changes = {
            **{name: f"column '{name}' is missing" for name in missing},
            **{column.name: f"column '{column.name}' is new" for column in new},
            **{
                name: f"column '{name}' was {published.field(name).type} and is {offered.field(name).type}"
                for name, kind in types.items()
                if kind != published.field(name).type
            },
        }
        allowed = _allowed(policy, missing, new, types)
        if problems := {name: change for name, change in changes.items() if name not in allowed}:
            raise _refused(problems.values(), of_types=bool(problems.keys() & types.keys()))
        self.changes = tuple(changes.values())
        self.widened = tuple(
            name
            for name, kind in types.items()
            if published.field(name).type == pa.int64() and kind == pa.float64()
        )
        added = [c for c in new if policy == "evolve" and not pa.types.is_null(c.type)]
        self.schema = pa.schema(
            [(c.name, types.get(c.name, c.type)) for c in published] + [(c.name, c.type) for c in added]
        )
        if added:
            _check_renamed(self.schema)

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch in `schema`.

        Raises `RefusedError` naming the columns with a value that does not fit, and `UnknownTypeError` before
        the first publication for a column without any value.
        """
        if batch.schema == self.schema:
            if self._first:
                _check_known(batch)
            return batch
        columns, problems = [], []
        for field in self.schema:
            at = batch.schema.get_field_index(field.name)
            column = pa.nulls(batch.num_rows) if at < 0 else batch.column(at)
            try:
                columns.append(_fitted(column, field.type))
            except pa.ArrowInvalid:
                problems.append(f"column '{field.name}' was {field.type} and is {column.type}")
        if problems:
            raise _refused(problems, of_types=True)
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _allowed(
    policy: Policy, missing: list[str], new: list[pa.Field], types: dict[str, pa.DataType | None]
) -> set[str]:
    """The columns that may differ from what was published."""
    if policy == "refuse":
        return set()
    names = {column.name for column in new}
    return names if policy == "ignore_new" else names.union(missing, (n for n, kind in types.items() if kind))


def _check_renamed(schema: pa.Schema) -> None:
    """Raise `RefusedError` for a column that was renamed to one that the lake cannot carry beside the old."""
    try:
        check_names(schema.names)
    except SourceError as error:
        raise RefusedError(str(error)) from None


def _refused(problems: Iterable[str], of_types: bool) -> RefusedError:
    declare = "declare the type it had under the source's 'types', " if of_types else ""
    return RefusedError(
        f"{'; '.join(problems)}: fix the source, {declare}or allow it by validation.schema_change in "
        "pipeline.yaml, or give the pipeline a new name for a new shape"
    )


def _check_known(batch: pa.RecordBatch) -> None:
    unknown = [field.name for field in batch.schema if pa.types.is_null(field.type)]
    if unknown and batch.num_rows:
        raise UnknownTypeError(
            f"column '{unknown[0]}' has no value in any row, so its type is not known: ingest a partition in "
            "which it has values first, or declare it under the source's 'types'"
        )


def _fitting(published: pa.DataType, offered: pa.DataType, policy: Policy) -> pa.DataType | None:
    """The column's type from now on; None if no allowed type holds both published and offered values."""
    if _holds(published, offered):
        return published
    if policy == "evolve":
        return _wider(published, offered)
    # Whether it fits depends on the values, which are checked later.
    return published if _is_number(published) and _is_number(offered) else None


def _holds(kind: pa.DataType, other: pa.DataType) -> bool:
    """Whether values of the other type fit; whole numbers in float64 are checked value by value later."""
    types = pa.types
    if kind == other or types.is_null(other):
        return True
    if types.is_list(kind) and types.is_list(other):
        return _holds(kind.value_type, other.value_type)
    if types.is_floating(kind):
        return bool(types.is_integer(other)) or (
            types.is_floating(other) and other.bit_width <= kind.bit_width
        )
    return bool(types.is_integer(kind) and types.is_integer(other) and other.bit_width <= kind.bit_width)


def _wider(published: pa.DataType, offered: pa.DataType) -> pa.DataType | None:
    """The smallest type that holds both; None if there is none."""
    types = pa.types
    if _holds(offered, published):
        return offered
    if types.is_list(published) and types.is_list(offered):
        inner = _wider(published.value_type, offered.value_type)
        return inner and pa.list_(inner)
    if types.is_date(published) and types.is_timestamp(offered):
        return offered
    if types.is_date(offered) and types.is_timestamp(published):
        return published
    if types.is_decimal(published) or types.is_decimal(offered):
        return _decimal(published, offered)
    return None


def _decimal(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    shapes = [_shape(one), _shape(other)]
    if None in shapes:
        return None
    whole = max(shape[0] for shape in shapes if shape)
    scale = max(shape[1] for shape in shapes if shape)
    return pa.decimal128(whole + scale, scale) if whole + scale <= _MOST_DIGITS else None


def _shape(kind: pa.DataType) -> tuple[int, int] | None:
    """How many digits a number of the type has before and after the point."""
    if pa.types.is_decimal(kind):
        return kind.precision - kind.scale, kind.scale
    return (_DIGITS[kind.bit_width], 0) if pa.types.is_integer(kind) else None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _fitted(column: pa.Array, target: pa.DataType) -> pa.Array:
    """The column in the type; raises `pa.ArrowInvalid` if a value would change."""
    if column.type == target:
        return column
    if pa.types.is_date(column.type) and pa.types.is_timestamp(target):
        return column.cast(pa.timestamp(target.unit)).cast(target)
    if pa.types.is_integer(column.type) and pa.types.is_decimal(target):
        # Arrow requires precision for the largest possible integer.
        return column.cast(pa.decimal256(76, target.scale)).cast(target)
    fitted = column.cast(target)
    if pa.types.is_floating(column.type) and not _same(column, fitted.cast(column.type, safe=False)):
        raise pa.ArrowInvalid("a number would be rounded")
    return fitted


def _same(column: pa.Array, other: pa.Array) -> bool:
    equal = pc.or_(pc.equal(column, other), pc.and_(pc.is_nan(column), pc.is_nan(other)))
    return pc.all(equal).as_py() is not False
