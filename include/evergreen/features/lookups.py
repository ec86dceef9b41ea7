"""Lookups: columns of another pipeline's rows, joined to a pipeline's own as known at the time of each row.

This is a point-in-time join: a value that became known after a row's own time is never joined to it, not even
from the same partition. So a row has the same values whenever it is read, and with whatever other rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evergreen.calendar import Zone
from evergreen.errors import EvergreenError, SpecError
from evergreen.lake import PARTITION, Lake, Table
from evergreen.spec import Lookup, Spec, load_spec

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

Integers = NDArray[np.int64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 24 * 3600 * 1_000_000
BEFORE_ALL = np.iinfo(np.int64).min
"""The time of what has none."""


def lookup_versions(pipeline: Pipeline) -> dict[str, int]:
    """The current version of the table that each of the pipeline's lookups reads, by the lookup's name.

    Raises `NotFoundError` if one of those pipelines has published nothing yet.
    """
    versions = {}
    for name, lookup in pipeline.spec.features.lookups.items():
        with _named(_where(pipeline.spec, name)):
            versions[name] = Lake(pipeline.storage, lookup.pipeline).version(Table.PARTITIONS)
    return versions


def with_lookups(pipeline: Pipeline, rows: pa.Table, versions: Mapping[str, int] | None = None) -> pa.Table:
    """The rows with the columns of the pipeline's lookups, null where nothing was known. The order is kept.

    `versions` are the table versions of the other pipelines to read, by lookup; the default is the current
    ones. Whole numbers and booleans become float64, because they may be missing. Raises `SpecError`, naming
    the lookup, for an unknown column, types that cannot match, or a pipeline that cannot be looked up, and
    `NotFoundError` if that pipeline has published nothing yet.
    """
    if not len(rows):
        return rows
    found = {}
    for name, lookup in pipeline.spec.features.lookups.items():
        if versions is not None and name not in versions:
            raise SpecError(
                f"{_where(pipeline.spec, name)}: no version of its table is named: the rows were then read "
                "without it"
            )
        version = None if versions is None else versions[name]
        found.update(_looked_up(pipeline, name, lookup, rows, version))
    for column, values in found.items():
        if column in rows.column_names:
            raise SpecError(
                f"{pipeline.name}: features.lookups: the rows have a column '{column}' already: name the "
                "lookup otherwise"
            )
        rows = rows.append_column(column, values)
    return rows


def looked_up_spec(spec: Spec, name: str) -> Spec:
    """The description of the pipeline that a lookup reads.

    Raises `SpecError` if that description is wrong, or if it has no time and the lookup no `known_at`.
    """
    lookup = spec.features.lookups[name]
    other = load_spec(lookup.pipeline, spec.folder.parent)
    if lookup.known_at is None and not other.calendar.has_time:
        raise SpecError(
            f"{_where(spec, name)}: '{other.name}' has no time: give 'known_at', the column that says since "
            "when a row is known"
        )
    return other


@dataclass(frozen=True)
class Asked:
    """The rows on the left of the join: number of the entity, -1 if it is missing, and time, both (n,)."""

    entity: Integers
    time: Integers


@dataclass(frozen=True)
class Told:
    """The rows on the right of the join: entity, event time, and since when each is known, all (m,)."""

    entity: Integers
    happened: Integers
    known: Integers


def newest_known(asked: Asked, told: Told, max_age: int) -> Integers:
    """For each row of `asked` the position in `told` of the newest known row of its entity, (n,); -1 if none.

    A row of `told` counts if it became known at or before the time of the row asked. The newest has the
    latest event time; of several with the same event time it is the one known last, then the last one in
    `told`. A row whose event time is more than `max_age` before the row asked is too old.
    """
    usable = np.flatnonzero((told.entity >= 0) & (np.minimum(told.known, told.happened) > BEFORE_ALL))
    happened, known = told.happened[usable], told.known[usable]
    newer = np.lexsort((known, happened))
    rank = np.empty(len(newer), np.int64)
    rank[newer] = np.arange(len(newer))
    # Sort all by entity and time; at the same moment, rows that become known come before rows that ask.
    entity = np.concatenate([told.entity[usable], asked.entity])
    order = np.lexsort((np.concatenate([known, asked.time]), entity))
    block = np.cumsum(np.diff(entity[order], prepend=entity[order][:1]) != 0) * (len(newer) + 1)
    ranks = np.concatenate([rank, np.full(len(asked.entity), -1)])[order]
    newest = np.empty(len(order), np.int64)
    newest[order] = np.maximum.accumulate(ranks + block) - block
    newest = newest[len(newer) :]
    found = np.full(len(newest), -1)
    some = np.flatnonzero(newest >= 0)
    best = newer[newest[some]]
    young = asked.time[some] - happened[best] <= max_age
    found[some[young]] = usable[best[young]]
    return found


def _looked_up(
    pipeline: Pipeline, name: str, lookup: Lookup, rows: pa.Table, version: int | None
) -> dict[str, pa.ChunkedArray]:
    spec = pipeline.spec
    where = _where(spec, name)
    other = looked_up_spec(spec, name)
    time = _moments(rows, spec.time_column or "", where, spec.calendar.zone)
    known_at = lookup.known_at or other.time_column or ""
    needed = {*lookup.on.values(), *lookup.columns, known_at, other.time_column}
    lake = Lake(pipeline.storage, other.name)
    with _named(where), lake.steady():
        schema = lake.schema(Table.PARTITIONS, version)
        there = schema.names if schema else []
        columns = [*(name for name in there if name in needed), PARTITION]
        theirs = lake.read(Table.PARTITIONS, *_reach(lookup, other, time), version, columns)
    _check_columns(where, lookup, rows, there)
    zone = other.calendar.zone
    known = _moments(theirs, known_at, where, zone, day_ends=True)
    happened = _moments(theirs, other.time_column, where, zone) if other.time_column else known
    entity, others = _entities(where, lookup, rows, theirs)
    max_age = lookup.max_age // timedelta(microseconds=1)
    found = newest_known(Asked(entity, time), Told(others, happened, known), max_age)
    take = pa.array(found, mask=found < 0)
    return {f"{name}_{column}": _nullable(theirs.column(column).take(take)) for column in lookup.columns}


def _reach(lookup: Lookup, other: Spec, time: Integers) -> tuple[str | None, str | None]:
    """The first and last partition that may contain matches for the rows: others are too old or too new."""
    asked = time[time > BEFORE_ALL]
    if not other.calendar.has_time or not len(asked):
        return None, None
    first, last = (_EPOCH + timedelta(microseconds=int(moment)) for moment in (asked.min(), asked.max()))
    oldest = None if first - _EPOCH <= lookup.max_age else other.calendar.key_of(first - lookup.max_age)
    # A row that is known before its event time, such as a forecast, may be in any later partition.
    newest = other.calendar.key_of(last) if lookup.known_at is None else None
    return oldest, newest


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Add the name of the lookup to errors of the other pipeline's table."""
    try:
        yield
    except EvergreenError as error:
        raise type(error)(f"{where}: {error}") from None


def _check_columns(where: str, lookup: Lookup, rows: pa.Table, theirs: Sequence[str]) -> None:
    if missing := [column for column in lookup.on if column not in rows.column_names]:
        raise SpecError(f"{where}.on: the rows have no column '{missing[0]}': fix the lookup")
    needed = [*lookup.on.values(), *lookup.columns, *([lookup.known_at] if lookup.known_at else [])]
    if missing := [column for column in needed if column not in theirs]:
        there = ", ".join(theirs)
        raise SpecError(
            f"{where}: '{lookup.pipeline}' has no column '{missing[0]}' (there: {there}): fix the lookup"
        )


def _entities(where: str, lookup: Lookup, rows: pa.Table, theirs: pa.Table) -> tuple[Integers, Integers]:
    """A number for each row's entity, the same on both sides; -1 where a part of its key is missing."""
    numbers = np.zeros(len(rows) + len(theirs), np.int64)
    named = np.ones(len(numbers), bool)
    for mine, their in lookup.on.items():
        kinds = [_kind(table.schema.field(name).type) for table, name in ((rows, mine), (theirs, their))]
        if kinds[0] != kinds[1]:
            raise SpecError(
                f"{where}.on: '{mine}' holds {kinds[0]} and '{their}' of '{lookup.pipeline}' {kinds[1]}, so "
                "they never match: cast one in its source"
            )
        if pa.types.is_nested(kinds[0]):
            raise SpecError(
                f"{where}.on: '{mine}' holds {kinds[0]}, which cannot be a key: use another column"
            )
        sides = [rows.column(mine).cast(kinds[0]), theirs.column(their).cast(kinds[0])]
        both = pa.chunked_array([chunk for side in sides for chunk in side.chunks])
        codes = both.combine_chunks().dictionary_encode().indices
        named &= codes.is_valid().to_numpy(zero_copy_only=False)
        values = codes.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        _, numbers = np.unique(numbers * (int(values.max(initial=0)) + 1) + values, return_inverse=True)
    numbers = np.where(named, numbers, -1)
    return numbers[: len(rows)], numbers[len(rows) :]


def _kind(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(kind):
        return pa.int64()
    return pa.large_string() if pa.types.is_string(kind) or pa.types.is_large_string(kind) else kind


def _moments(table: pa.Table, column: str, where: str, zone: Zone, *, day_ends: bool = False) -> Integers:
    """A column of times in microseconds since 1970, UTC; a missing time sorts before all others.

    A date is the start of the local day or, with `day_ends`, its end, because a date's row is not known
    before the day is over.
    """
    if column not in table.column_names:
        there = ", ".join(table.column_names)
        raise SpecError(f"{where}: no column '{column}' (there: {there}): fix the lookup")
    values = table.column(column)
    is_date = pa.types.is_date(values.type)
    if not is_date and not pa.types.is_timestamp(values.type):
        raise SpecError(f"{where}: '{column}' holds {values.type}, no time: cast it in its source")
    if is_date:
        midnights = pc.cast(pc.cast(values, pa.timestamp("us")), pa.int64())
        days = midnights.fill_null(0).to_numpy() + (_DAY if day_ends else 0)
        return np.where(values.is_valid().to_numpy(), zone.day_starts(days)[0], BEFORE_ALL)
    moments = pc.cast(pc.cast(values, pa.timestamp("us", values.type.tz)), pa.int64())
    known: Integers = moments.fill_null(BEFORE_ALL).to_numpy().astype(np.int64)
    return known


def _nullable(values: pa.ChunkedArray) -> pa.ChunkedArray:
    # In pandas such a column would change its type when a value is missing.
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    return values.cast(pa.float64(), safe=False) if pa.types.is_integer(values.type) else values


def _where(spec: Spec, name: str) -> str:
    return f"{spec.name}: features.lookups.{name}"
