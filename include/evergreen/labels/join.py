"""Rows with their labels: the target joined by the key, null where it is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.errors import EvergreenError, NotFoundError, SpecError
from evergreen.ingestion.join import join_sources
from evergreen.labels.known import newest_known
from evergreen.lake import PARTITION, Table
from evergreen.rows.batches import Rows
from evergreen.sources import Join
from evergreen.spec import Spec

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

LABELS, ROWS = "labels", "rows"


def with_labels(
    pipeline: Pipeline,
    rows: pa.Table,
    as_of: str | None,
    *,
    column: str | None = None,
    version: int | None = None,
) -> pa.Table:
    """The rows with their labels in the target column, null where there is none or it is not known yet.

    `rows` hold `partition` and the keys: rows of the lake, or predictions. `as_of` is the partition whose
    night has read its labels: those of partition k are filled in if k + delay <= `as_of` (a training as of D
    gives the partition before D); None fills in all that have been read. `column` names the column to fill in
    place of the target, such as `actual` of the predictions, whose current values are replaced. `version` is
    the version of the table of labels to read.

    Order and number of the rows are kept, and without `labels` in the description they come back as they are.
    Raises `NotFoundError` if no labels were ever read, `SpecError` if the rows have a target of their own,
    `SourceError` or `RefusedError` where the keys of both cannot be compared.
    """
    spec = pipeline.spec
    if spec.labels is None or spec.target is None:
        return rows
    rows = _without(spec, rows, column)
    first, last = pc.min_max(rows.column(PARTITION)).as_py().values()
    newest = last if as_of is None else min(newest_known(spec, as_of), last or "")
    try:
        labels = pipeline.lake.read(Table.LABELS, first, newest, version=version)
    except NotFoundError:
        raise _none_read(pipeline) from None
    return join_labels(spec, rows, labels.rename_columns({spec.target: column or spec.target}))


def unlabelled(pipeline: Pipeline, rows: pa.Table) -> pa.Table:
    """The rows with an empty target column of the labels' type, as scoring gets them.

    Without `labels` in the description they come back as they are. Raises as `with_labels`.
    """
    spec = pipeline.spec
    if spec.labels is None or spec.target is None:
        return rows
    kind = label_schema(pipeline).field(spec.target).type
    return _without(spec, rows, None).append_column(spec.target, pa.nulls(len(rows), kind))


def label_schema(pipeline: Pipeline) -> pa.Schema:
    """Keys and target as the labels are kept; raises `NotFoundError` if none were ever read."""
    schema = pipeline.lake.schema(Table.LABELS)
    if schema is None:
        raise _none_read(pipeline)
    return schema


def join_labels(spec: Spec, rows: pa.Table, labels: pa.Table) -> pa.Table:
    """Rows and labels (both with `partition` and the keys) joined; a label without a row is left out. Pure.

    The label is the only column of `labels` that is not part of the key.
    """
    names = [*spec.keys, PARTITION]
    join = Join(left=ROWS, right=LABELS, on={name: name for name in names}, expect="many_to_one")
    sides = {ROWS: Rows.of(rows), LABELS: Rows.of(labels)}
    try:
        return join_sources(spec.model_copy(update={"join": (join,)}), sides).table()
    except EvergreenError as error:
        raise type(error)(f"{spec.name}: labels: {error}") from None


def _none_read(pipeline: Pipeline) -> NotFoundError:
    return NotFoundError(
        f"{pipeline.name}: no labels were read yet: when they are due, run evergreen labels {pipeline.name}"
    )


def _without(spec: Spec, rows: pa.Table, column: str | None) -> pa.Table:
    if column is not None and column in rows.column_names:
        return rows.drop_columns([column])
    if spec.target in rows.column_names:
        raise SpecError(
            f"{spec.name}: labels: the rows have a column '{spec.target}' already: leave it out of the "
            "sources (columns or sql), or leave 'labels' out"
        )
    return rows
