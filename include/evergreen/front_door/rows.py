"""Rows of the lake for people: published rows, predictions, and rows as known as of a partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from evergreen.calendar import PartitionError
from evergreen.errors import NotFoundError
from evergreen.features.build import in_order
from evergreen.features.lookups import with_lookups
from evergreen.labels.join import with_labels
from evergreen.lake import Table
from evergreen.rows.frame import to_frame
from evergreen.scoring.published import ACTUAL

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.pipeline import Pipeline
    from evergreen.spec import Spec


def published_frame(
    pipeline: Pipeline,
    first: str | None,
    last: str | None,
    columns: Sequence[str] | None,
    as_of: str | None,
) -> pd.DataFrame:
    """See `evergreen.Pipeline.rows`."""
    spec = pipeline.spec
    known = None
    if as_of is not None:
        spec.calendar.check(as_of)
        known = spec.calendar.shift(as_of, -1)
    rows = with_lookups(pipeline, _read(pipeline, Table.PARTITIONS, first, last, known))
    frame = in_order(spec, to_frame(_labelled(pipeline, rows, known, None))).reset_index(drop=True)
    if columns is None:
        return frame
    if unknown := [name for name in columns if name not in frame.columns]:
        raise NotFoundError(
            f"{pipeline.name}: the rows have no column '{unknown[0]}' (there: {', '.join(frame.columns)})"
        )
    return frame[[*columns]]


def predictions_frame(pipeline: Pipeline, first: str | None, last: str | None) -> pd.DataFrame:
    """See `evergreen.Pipeline.predictions`."""
    rows = _read(pipeline, Table.PREDICTIONS, first, last, None)
    names = rows.column_names
    return to_frame(_labelled(pipeline, rows, None, ACTUAL).select(names))


def newest(pipeline: Pipeline, table: Table, known: str | None = None) -> str:
    """The newest partition of a table, up to `known`; raises `NotFoundError` if there is none."""
    keys = [key for key in pipeline.lake.partitions(table) if known is None or key <= known]
    if not keys:
        until = f" up to {known}" if known else ""
        raise NotFoundError(f"{pipeline.name}: no partition{until} {_remedy(pipeline.spec, table, 'is')}")
    return keys[-1]


def _read(
    pipeline: Pipeline, table: Table, first: str | None, last: str | None, known: str | None
) -> pa.Table:
    for key in (first, last):
        if key is not None:
            pipeline.spec.calendar.check(key)
    if first is None and last is None:
        first = newest(pipeline, table, known)
    last = last or first
    assert last is not None
    if first is not None and last < first:
        raise PartitionError(f"{pipeline.name}: '{last}' is before '{first}': give the earlier key first")
    if known is not None and (first or last) > known:
        as_of = pipeline.spec.calendar.shift(known, 1)
        raise NotFoundError(
            f"{pipeline.name} {first or last}: a training as of {as_of} does not know this partition: "
            "ask for an earlier one, or leave as_of out"
        )
    try:
        rows = pipeline.lake.read(table, first, last if known is None else min(last, known))
    except NotFoundError:
        rows = pa.table({})
    if not len(rows):
        raise NotFoundError(_missing(pipeline.spec, table, first, last))
    return rows


def _labelled(pipeline: Pipeline, rows: pa.Table, known: str | None, column: str | None) -> pa.Table:
    """The rows with their delayed labels, if any were read."""
    try:
        return with_labels(pipeline, rows, known, column=column)
    except NotFoundError:
        return rows


def _missing(spec: Spec, table: Table, first: str | None, last: str) -> str:
    if first == last:
        said = _remedy(spec, table, "is not")
        return f"{spec.name} {last}: this partition {said} --partition {last}"
    start = first or spec.first_partition
    said = _remedy(spec, table, "is")
    return f"{spec.name}: no partition from {start} to {last} {said} --partition {start} --to {last}"


def _remedy(spec: Spec, table: Table, verb: str) -> str:
    done, command = ("scored", "score") if table is Table.PREDICTIONS else ("published", "ingest")
    return f"{verb} {done}: run evergreen {command} {spec.name}"
