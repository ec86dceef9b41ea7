"""Labels from their source to the lake: those that are due with a partition, stored by their rows' partition.

Labels are read by the same code as rows. The stored labels of a partition depend only on the source and not
on the order of nights: a label is stored even if its row is not published (yet, or any more).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from evergreen.errors import EvergreenError, NothingToDoError, RefusedError, SourceError
from evergreen.ingestion.outcomes import not_published
from evergreen.ingestion.read_as import named_types
from evergreen.labels.join import join_labels
from evergreen.labels.known import due, newest_known, newest_trained
from evergreen.labels.read import Found, conformed, read_labels
from evergreen.lake import PARTITION, Table
from evergreen.pipeline import Pipeline
from evergreen.spec import Spec

TOGETHER = 32  # partitions whose labels are published in one commit
READERS = 4  # partitions whose labels are read at the same time

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelled:
    """The labels of one partition in the lake after reading.

    `labels` counts them, `rows` the partition's published rows, and `labelled` those of them that have a
    label. `absent`, `outside` and `rejected` count what was left out, as `Found` says. `changed` is False if
    the lake already held just these labels.
    """

    partition: str
    labels: int
    rows: int
    labelled: int
    absent: int
    outside: int
    rejected: int
    changed: bool

    @property
    def without_row(self) -> int:
        """How many labels belong to no published row: they are not used until it is published."""
        return max(0, self.labels - self.labelled)

    @property
    def sentence(self) -> str:
        """What was read and what was left out, in words."""
        counts = {
            "labels without a row": self.without_row,
            "records without a label or key left out": self.absent,
            "records of other partitions left out": self.outside,
            "records that cannot be read left out": self.rejected,
        }
        parts = [f"{self.labels} labels, {self.labelled} of {self.rows} rows have one"]
        parts += [f"{count} {what}" for what, count in counts.items() if count]
        return f"{self.partition}: {'; '.join(parts)}{'' if self.changed else ' (unchanged)'}"


def ensure(pipeline: Pipeline, partition: str) -> list[str]:
    """Read the labels that are due with `partition`, unless they are there; returns their partitions.

    Those are the keys of the partitions whose labels the night of `partition` brings: `partition` minus the
    delay. None are returned if the description has no `labels`, of those that lie before the pipeline's
    start, whose source had no labels, or whose labels were refused (a warning says why; the ingest task
    `labels` fails for the same reason, and a later call tries again).
    Raises `UnavailableError` if source or storage cannot be reached; a retry may help.
    """
    wanted = _due(pipeline.spec, [partition])
    if not wanted.keys() <= set(pipeline.lake.partitions(Table.LABELS)):
        try:
            ingest_labels(pipeline, [partition])
        except (RefusedError, SourceError) as error:
            _log.warning("%s", error)
    there = set(pipeline.lake.partitions(Table.LABELS)) if wanted else set()
    return [key for key in wanted if key in there]


def ingest_labels(
    pipeline: Pipeline, partitions: Sequence[str], progress: Callable[[str], None] = lambda partition: None
) -> list[Labelled]:
    """Read the labels that became due with each of `partitions`, and publish them; returns what was read.

    `partitions` are nights: the night of K brings the labels of K - delay. The labels of a partition are
    replaced as a whole, with many partitions in one commit; unchanged labels make no new version of the
    table. `progress` is called with each night that is done. If labels are refused (two for a key, values
    that are no labels, too many unreadable records), the others are still published, and one error at the end
    names all refused partitions. Raises `NothingToDoError` if nothing is due, `UnavailableError` if a server
    cannot be reached.
    """
    spec = pipeline.spec
    wanted = _due(spec, [spec.calendar.check(night) for night in partitions])
    if not wanted:
        raise _nothing_due(spec, partitions)
    done: list[Labelled] = []
    refused: dict[str, EvergreenError] = {}
    keys = list(wanted)
    for at in range(0, len(keys), TOGETHER):
        group = keys[at : at + TOGETHER]
        found = _read_together(pipeline, group)
        refused |= {key: one for key, one in found.items() if isinstance(one, EvergreenError)}
        done += _publish(pipeline, {key: one for key, one in found.items() if isinstance(one, Found)})
        for key in group:
            progress(wanted[key])
    if refused:
        raise not_published(spec.name, refused, len(keys), "labels of ")
    return done


def _due(spec: Spec, nights: Sequence[str]) -> dict[str, str]:
    """The partitions whose labels these nights bring, each with its night."""
    if spec.labels is None:
        return {}
    return {key: night for night in nights for key in due(spec, night) if key >= spec.first_partition}


def labelled_partitions(pipeline: Pipeline, as_of: str) -> list[str]:
    """Keys, sorted, of the published partitions before `as_of` whose labels a training as of it knows.

    Without `labels` in the description, all that are published before it.
    """
    spec = pipeline.spec
    published = [key for key in pipeline.lake.partitions() if not spec.calendar.has_time or key < as_of]
    if spec.labels is None:
        return published
    there, newest = set(pipeline.lake.partitions(Table.LABELS)), newest_trained(spec, as_of)
    return [key for key in published if key <= newest and key in there]


def _read_together(pipeline: Pipeline, keys: Sequence[str]) -> dict[str, Found | EvergreenError]:
    """The labels from the source for each partition, all in the types of the table."""
    outcomes: dict[str, Found | EvergreenError] = {}
    schema = pipeline.lake.schema(Table.LABELS)
    with ThreadPoolExecutor(READERS) as pool:
        read = partial(_read_or_error, pipeline, _types(pipeline, schema))
        for key, outcome in zip(keys, pool.map(read, keys), strict=True):
            outcomes[key] = outcome
            if not isinstance(outcome, Found) or not len(outcome.labels):
                continue
            try:
                labels = conformed(pipeline.spec, key, outcome.labels, schema)
            except RefusedError as error:
                outcomes[key] = error
            else:
                outcomes[key], schema = replace(outcome, labels=labels), labels.schema
    return outcomes


def _types(pipeline: Pipeline, published: pa.Schema | None) -> dict[str, str]:
    """The types by which a source without types is read: of the labels, and of the rows' keys."""
    spec, rows = pipeline.spec, pipeline.lake.schema(Table.PARTITIONS)
    time = spec.labels and spec.labels.source.time_column
    keys = [column for column in rows or () if column.name in spec.keys]
    types = named_types([*keys, *(published or ())])
    return {name: kind for name, kind in types.items() if name != time}


def _read_or_error(pipeline: Pipeline, types: Mapping[str, str], key: str) -> Found | EvergreenError:
    try:
        return read_labels(pipeline, key, types)
    except (RefusedError, SourceError) as error:
        return error


def _publish(pipeline: Pipeline, found: Mapping[str, Found]) -> list[Labelled]:
    some = {key: one.labels for key, one in found.items() if len(one.labels)}
    matched = _matched(pipeline, some)
    schema = next((labels.schema for labels in some.values()), pipeline.lake.schema(Table.LABELS))
    changed: list[str] = []
    if schema is not None:  # else there is no table yet, and nothing to put into it
        contents = {key: some.get(key, schema.empty_table()) for key in found}
        changed = pipeline.lake.replace(Table.LABELS, contents)
    return [
        Labelled(
            key,
            len(one.labels),
            *matched.get(key, (0, 0)),
            absent=one.absent,
            outside=one.outside,
            rejected=one.rejected,
            changed=key in changed,
        )
        for key, one in found.items()
    ]


def _matched(pipeline: Pipeline, labels: Mapping[str, pa.Table]) -> dict[str, tuple[int, int]]:
    """By partition: its published rows, and those of them that have a label."""
    spec, there = pipeline.spec, pipeline.lake.schema(Table.PARTITIONS)
    if not labels or there is None:
        return {}
    columns = [*(key for key in spec.keys if key in there.names), PARTITION]
    rows = pipeline.lake.read(Table.PARTITIONS, min(labels), max(labels), columns=columns)
    parts = [
        table.append_column(PARTITION, pa.array([key] * len(table), pa.string()))
        for key, table in labels.items()
    ]
    joined = join_labels(spec, rows, pa.concat_tables(parts))
    counts = joined.group_by(PARTITION).aggregate([(str(spec.target), "count"), ([], "count_all")])
    return {one[PARTITION]: (one["count_all"], one[f"{spec.target}_count"]) for one in counts.to_pylist()}


def _nothing_due(spec: Spec, partitions: Sequence[str]) -> NothingToDoError:
    if spec.labels is None:
        return NothingToDoError(f"{spec.name}: the description has no 'labels': they come with the rows")
    newest = newest_known(spec, partitions[-1])
    why = f"those of {newest} would be, and the history starts at {spec.first_partition}"
    if newest >= spec.first_partition:
        why = f"those up to {newest} were due with an earlier night"
    return NothingToDoError(f"{spec.name} {partitions[-1]}: no labels are due: {why}")
