"""Which published partitions have rows that changed in their source since."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing

import pyarrow as pa

from evergreen.errors import SourceError
from evergreen.ingestion.extract import extract_changed
from evergreen.lake import PARTITION, Table
from evergreen.pipeline import Pipeline
from evergreen.rows.batches import Rows
from evergreen.sources import Changed
from evergreen.sources.spans import Spans
from evergreen.spec import Spec
from evergreen.validation.quarantine import restore

LOOKED_UP = 2**20  # changed rows whose keys are looked up in the lake at a time

_log = logging.getLogger(__name__)


def changed_before(pipeline: Pipeline, partitions: Sequence[str]) -> list[str]:
    """The published partitions to ingest again with these, in order; without these.

    They hold a row that changed while these partitions lasted: by its event time now, or by its key where it
    was published before. They follow from the sources, the lake and `partitions`; there are none if no source
    has `changes`. A warning names those that are older than a source's `within`. Raises `SourceError` and
    `UnavailableError` if a source cannot be read.
    """
    sources = [(name, source.config.changes) for name, source in pipeline.spec.sources.items()]
    watched = {name: changed for name, changed in sources if changed}
    if not watched or not partitions:
        return []
    lake, last = pipeline.lake, max(partitions)
    there = {*lake.partitions(), *lake.partitions(Table.QUARANTINE)}
    published = sorted(key for key in there.difference(partitions) if key < last)
    found = set[str]()
    for name, changed in watched.items() if published else ():
        oldest = pipeline.spec.calendar.back(min(partitions), changed.within)
        touched = sorted(_touched(pipeline, name, changed, partitions, published))
        if older := [key for key in touched if key < oldest]:
            _log.warning(_too_old(pipeline.name, name, changed, older))
        found.update(key for key in touched if key >= oldest)
    return sorted(found)


def _too_old(pipeline: str, source_name: str, changed: Changed, older: Sequence[str]) -> str:
    return (
        f"{pipeline}: source '{source_name}': rows of {len(older)} partitions from {older[0]} to {older[-1]} "
        f"have changed too, which is before 'within' ({changed.within}), and are not read again: to do that, "
        f"run evergreen ingest {pipeline} --partition {older[0]} --to {older[-1]}"
    )


def _touched(
    pipeline: Pipeline,
    source_name: str,
    changed: Changed,
    partitions: Sequence[str],
    published: Sequence[str],
) -> set[str]:
    """The published partitions that hold changed rows of a source; by their keys only those `within`."""
    spec, first, last = pipeline.spec, min(partitions), max(partitions)
    calendar, time = spec.calendar, spec.sources[source_name].time_column
    oldest = calendar.back(first, changed.within)
    window = calendar.start(first) - changed.overlap, calendar.end(last)
    key = _key(spec, source_name, changed)
    rows = extract_changed(pipeline, source_name, last, window, key)
    spans, found = Spans(calendar, published), set[str]()
    with closing(rows):
        for some in _together(rows):
            found |= spans.holding(some.column(time).combine_chunks())
            unknown = [one for one in published if one >= oldest and one not in found]
            if key and unknown:
                found |= _holding(pipeline, some.select(key), unknown)
    return found


def _key(spec: Spec, source_name: str, changed: Changed) -> tuple[str, ...]:
    """The columns that name a source's row for its life; none if its event time is part of its name."""
    if changed.key is not None:
        return changed.key
    return () if spec.sources[source_name].time_column in spec.key else spec.key


def _together(rows: Rows) -> Iterator[pa.Table]:
    """The rows in tables of about `LOOKED_UP`."""
    waiting: list[pa.RecordBatch] = []
    for batch in rows:
        waiting.append(batch)
        if sum(one.num_rows for one in waiting) >= LOOKED_UP:
            yield pa.Table.from_batches(waiting, rows.schema)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting, rows.schema)


def _holding(pipeline: Pipeline, keys: pa.Table, partitions: Sequence[str]) -> set[str]:
    """Those of the partitions where rows of these keys are published or in quarantine."""
    schema = pipeline.lake.schema(Table.PARTITIONS)
    if schema is None:
        return set()
    names = keys.schema.names
    if unknown := [name for name in names if name not in schema.names]:
        raise SourceError(
            f"{pipeline.name}: the key of changed rows: no published column '{unknown[0]}' (there: "
            f"{', '.join(schema.names)}): name the key under the source's 'changed' in pipeline.yaml"
        )
    wanted = pa.schema([schema.field(name) for name in names])
    try:
        keys = keys.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SourceError(
            f"{pipeline.name}: the key of changed rows is not of the published types ({error}): name another "
            "key under the source's 'changed' in pipeline.yaml"
        ) from None
    keys = keys.group_by(names).aggregate([])
    found = pipeline.lake.holding(keys, partitions)
    return found | _in_quarantine(pipeline, keys, [key for key in partitions if key not in found])


def _in_quarantine(pipeline: Pipeline, keys: pa.Table, partitions: Sequence[str]) -> set[str]:
    """Those of the partitions where rows of these keys are in quarantine, or such as cannot be told."""
    if (
        not partitions
        or (rows := pipeline.lake.find(Table.QUARANTINE, partitions[0], partitions[-1])) is None
    ):
        return set()
    wanted, found = set(partitions), set[str]()
    changed = set(zip(*(column.to_pylist() for column in keys.columns), strict=True))
    for row in rows.to_pylist():
        if row[PARTITION] not in wanted or row[PARTITION] in found or row.get("place"):
            continue  # a record that could not be read has a place, and no key
        try:
            values = restore(row["row"], keys.schema)
        except ValueError:
            found.add(row[PARTITION])
            continue
        if tuple(values.values()) in changed:
            found.add(row[PARTITION])
    return found
