"""Reading what a training may see, from the lake at the versions of its tables."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from evergreen.calendar import SNAPSHOT
from evergreen.errors import NotFoundError, NothingToDoError, SpecError
from evergreen.features.lookups import lookup_versions, with_lookups
from evergreen.features.published import published_batches, published_rows
from evergreen.labels.join import with_labels
from evergreen.lake import Table
from evergreen.rows.ahead import made_ahead
from evergreen.rows.frame import to_frame
from evergreen.training_set.assemble import TableVersions, TrainingSet, assemble, assemble_parts
from evergreen.training_set.parts import Part, by_row, stretches
from evergreen.training_set.window import Change, change_in, read_start

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline


def read_training_set(
    pipeline: Pipeline, as_of: str, reason: dict[str, Any], versions: TableVersions | None = None
) -> tuple[TrainingSet, pd.DataFrame]:
    """The training set as of a partition, and the raw rows that its features can be built from again.

    These are all rows that were read or, of a sample, those of the newest partitions. `versions` as in
    `read_window`, which raises the same; `assemble` raises the others.
    """
    if pipeline.spec.training.sample is None:
        rows, versions = read_window(pipeline, as_of, versions)
        return assemble(pipeline.spec, rows, as_of, versions, reason), rows
    pipeline.spec.calendar.check(as_of)
    read_at, change = versions or present_versions(pipeline), change_in(reason)
    with closing(made_ahead(lambda: _parts(pipeline, as_of, read_at, change), 1)) as parts:
        found = assemble_parts(pipeline.spec, parts, as_of, read_at, reason)
    return found, found.newest


def read_window(
    pipeline: Pipeline, as_of: str, versions: TableVersions | None = None
) -> tuple[pd.DataFrame, TableVersions]:
    """The published rows that training as of a partition may see, and the table versions they were read at.

    They have the columns that `features.columns` leaves. Lookups are joined, and labels that come later as
    far as they are known then. `versions` names the table versions to read, such as those in a model's
    lineage; by default the present ones. Raises `PartitionError` for a wrong key, `NotFoundError` if nothing
    was ever published and `NothingToDoError` if no labels were read yet.
    """
    spec = pipeline.spec
    spec.calendar.check(as_of)
    versions = versions or present_versions(pipeline)
    last = _last(pipeline, as_of)
    return _read(pipeline, read_start(spec, as_of), last, last, versions), versions


def present_versions(pipeline: Pipeline) -> TableVersions:
    """The versions that the tables of a training have now; raises as `read_window`."""
    own = pipeline.lake.version(Table.PARTITIONS)
    return {Table.PARTITIONS.value: own} | lookup_versions(pipeline) | _label_version(pipeline)


def _parts(
    pipeline: Pipeline, as_of: str, versions: TableVersions, change: Change | None
) -> Generator[Part, None, None]:
    """The rows of the window in parts, none of which holds more than a stretch of it."""
    spec, known = pipeline.spec, _last(pipeline, as_of)
    wanted = stretches(spec, as_of, change)
    if not by_row(spec):
        for one in wanted:
            yield Part(one.first, _read(pipeline, one.back, one.last, known, versions))
    elif wanted:
        first, version = wanted[0].first, versions[Table.PARTITIONS.value]
        for batch in published_batches(pipeline, first, wanted[-1].last, version):
            yield Part(first, to_frame(pa.Table.from_batches([batch])))


def _read(pipeline: Pipeline, first: str, last: str, known: str, versions: TableVersions) -> pd.DataFrame:
    """The rows of some partitions, with the labels that are known after the night of `known`."""
    rows = published_rows(pipeline, first, last, versions[Table.PARTITIONS.value])
    return to_frame(_with_target(pipeline, with_lookups(pipeline, rows, versions), known, versions))


def _last(pipeline: Pipeline, as_of: str) -> str:
    calendar = pipeline.spec.calendar
    return calendar.shift(as_of, -1) if calendar.has_time else SNAPSHOT


def _label_version(pipeline: Pipeline) -> TableVersions:
    if pipeline.spec.labels is None:
        return {}
    try:
        return {Table.LABELS.value: pipeline.lake.version(Table.LABELS)}
    except NotFoundError:
        raise NothingToDoError(
            f"{pipeline.name}: no labels were read yet: when they are due, run evergreen labels "
            f"{pipeline.name}"
        ) from None


def _with_target(pipeline: Pipeline, rows: pa.Table, last: str, versions: TableVersions) -> pa.Table:
    if pipeline.spec.labels is None:
        return rows
    if (version := versions.get(Table.LABELS.value)) is None:
        raise SpecError(
            f"{pipeline.name}: labels: no version of them is named: the rows had their own target"
        )
    return with_labels(pipeline, rows, last, version=version)
