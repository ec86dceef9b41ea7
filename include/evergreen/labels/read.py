"""The labels of one partition as read from their source: keys and target, exactly one label per key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.errors import RefusedError, SourceError
from evergreen.ingestion.conform import Conformer
from evergreen.ingestion.extract import extract
from evergreen.labels.join import LABELS
from evergreen.pipeline import Pipeline
from evergreen.rows.batches import Rejected
from evergreen.rows.keys import KeySet
from evergreen.spec import Spec, Task


@dataclass(frozen=True)
class Found:
    """What was read from a source for a partition.

    `labels` holds keys and target, in the order of the keys. `absent` counts the records without a label or
    without a key, `outside` those of other partitions, `rejected` those that could not be read: they are all
    left out.
    """

    labels: pa.Table
    absent: int
    outside: int
    rejected: int


def read_labels(pipeline: Pipeline, partition: str, types: Mapping[str, str] = {}) -> Found:
    """Read the labels of the rows of a partition.

    The source is read like any other, for this partition only; its `time_column` is the time of the rows, and
    `types` has the types by which its columns are read if it has none.
    Raises `SourceError` and `UnavailableError` as every source does, `SourceError` for a column that is
    missing or holds no labels, `RefusedError` for two labels for one key, infinite ones, and a share of
    records that cannot be read above `validation.max_quarantined`.
    """
    spec = pipeline.spec
    where = f"{spec.name} {partition}: labels"
    given, rejected = _given(pipeline, where, partition, types)
    _check_rejected(spec, where, len(given), rejected)
    own = _of_partition(spec, partition, given)
    labels = _present(spec, own)
    absent, outside = len(own) - len(labels), len(given) - len(own)
    if len(labels):
        _check_values(spec, where, labels)
        _check_unique(spec, where, labels)
    return Found(labels.sort_by([(key, "ascending") for key in spec.keys]), absent, outside, len(rejected))


def conformed(spec: Spec, partition: str, labels: pa.Table, published: pa.Schema | None) -> pa.Table:
    """The labels in the types of those published before, None if there are none yet.

    A number may be cast to another numeric type if its value does not change. Raises `RefusedError`, naming
    the columns, for any other type.
    """
    try:
        conformer = Conformer(published, labels.schema)
        batches = [conformer.batch(batch) for batch in labels.to_batches()]
    except RefusedError as error:
        problems = str(error).partition(": fix")[0]
        raise RefusedError(
            f"{spec.name} {partition}: labels: {problems}: fix the source, or declare the type it had under "
            "the source's 'types'"
        ) from None
    return pa.Table.from_batches(batches, conformer.schema)


def _given(
    pipeline: Pipeline, where: str, partition: str, types: Mapping[str, str]
) -> tuple[pa.Table, list[Rejected]]:
    """The needed columns of all rows of the source, and the records that could not be read."""
    spec = pipeline.spec
    assert spec.labels is not None
    # Read by the same code as all sources, as if it were the only source of a description.
    alone = spec.model_copy(update={"sources": {LABELS: spec.labels.source}, "join": ()})
    with closing(extract(replace(pipeline, spec=alone), LABELS, partition, types, whole=True)) as rows:
        schema = rows.schema
        names = [*spec.keys, str(spec.target)]
        if not schema.names:  # a source without rows may not know its columns
            return pa.Table.from_batches([], pa.schema([(name, pa.null()) for name in names])), rows.rejected
        if missing := [name for name in names if name not in schema.names]:
            raise SourceError(
                f"{where}: the source has no column '{missing[0]}' (there: {', '.join(schema.names)}), and "
                "labels are joined to the rows by their key: fix the source, or name its columns so in SQL"
            )
        if (time := spec.labels.source.time_column) and time in schema.names and time not in names:
            names.append(time)
        kept = pa.schema([schema.field(name) for name in names])
        return pa.Table.from_batches([batch.select(names) for batch in rows], kept), rows.rejected


def _of_partition(spec: Spec, partition: str, rows: pa.Table) -> pa.Table:
    """The rows whose time, if the source has a time column, is in the partition; keys and target only."""
    assert spec.labels is not None
    time = spec.labels.source.time_column
    if time in rows.column_names and pa.types.is_timestamp(rows.field(time).type):
        times, calendar = rows.column(time), spec.calendar
        start, end = (
            pa.scalar(at, times.type) for at in (calendar.start(partition), calendar.end(partition))
        )
        rows = rows.filter(pc.and_(pc.greater_equal(times, start), pc.less(times, end)))
    return rows.select([*spec.keys, str(spec.target)])


def _present(spec: Spec, rows: pa.Table) -> pa.Table:
    """The rows that have a label and a complete key."""
    for name in rows.column_names:
        rows = rows.filter(pc.invert(pc.is_null(rows.column(name), nan_is_null=True)))
    return rows


def _check_rejected(spec: Spec, where: str, read: int, rejected: Sequence[Rejected]) -> None:
    if not rejected:
        return
    share, most = len(rejected) / (read + len(rejected)), spec.validation.max_quarantined
    if share > most:
        first = rejected[0]
        raise RefusedError(
            f"{where}: {len(rejected)} of {read + len(rejected)} records cannot be read, more than "
            f"max_quarantined {most:.1%}, the first at {first.place} ({first.reason}): fix the source"
        )


def _check_values(spec: Spec, where: str, labels: pa.Table) -> None:
    types, column = pa.types, labels.column(str(spec.target))
    kind = column.type
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    if types.is_nested(kind) or (spec.task is Task.REGRESSION and not number):
        raise SourceError(
            f"{where}: '{spec.target}' holds {kind}, which a {spec.task} cannot learn: fix the source, or "
            "declare the column under its 'types'"
        )
    if types.is_floating(kind) and (infinite := pc.sum(pc.is_inf(column)).as_py()):
        raise RefusedError(f"{where}: {infinite} values of '{spec.target}' are infinite: fix the source")


def _check_unique(spec: Spec, where: str, labels: pa.Table) -> None:
    seen = KeySet(spec.keys)
    for batch in labels.to_batches():
        seen.add(batch)
    found = seen.check()
    if found.repeated:
        raise RefusedError(
            f"{where}: {found.repeated_keys} values of {', '.join(spec.keys)} have more than one label: "
            f"{'; '.join(found.examples)}: fix the source"
        )
