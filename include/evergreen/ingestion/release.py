"""Releases quarantined rows: corrected, or unchanged if the suite now accepts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from evergreen.calendar import Zone
from evergreen.errors import EvergreenError, NotFoundError, NothingToDoError, SourceError
from evergreen.ingestion.publish import publish
from evergreen.ingestion.published import PublishedPartitions
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.rows.batches import Rows
from evergreen.validation.corrections import Correction, Corrections, corrected, originals
from evergreen.validation.group import Group
from evergreen.validation.judge import Judges
from evergreen.validation.quarantine import (
    Quarantined,
    fit,
    read_quarantine,
    row_id,
    to_json,
    unvalidated,
)
from evergreen.validation.suite import load_suite
from evergreen.validation.validate import Validated

Changes = Mapping[str, Mapping[str, Any]]
"""Corrected columns by row id."""


@dataclass(frozen=True)
class Released:
    """The result for the requested rows: ids of those published, and the rows still in quarantine.

    `rows`, `quarantined` and `changed` describe the whole partition.
    """

    partition: str
    released: tuple[str, ...]
    remaining: tuple[Quarantined, ...]
    rows: int
    quarantined: int
    changed: bool


def release(
    pipeline: Pipeline,
    partition: str,
    *,
    by: str,
    ids: Sequence[str] = (),
    changes: Changes | None = None,
    reason: str = "",
) -> Released:
    """Release quarantined rows: validate and publish the partition again, without reading its sources.

    `changes` has corrected columns by row id; a row without changes is released unchanged, or with its
    earlier correction. `ids` names the requested rows (default: those of `changes`, else all). Every row that
    passes is published, requested or not, as when the partition is ingested again. The corrections are stored
    between validation and publication, so that a killed release can be repeated and loses nothing.

    Raises `NotFoundError` for an id that is not in quarantine, `SourceError` for a value that does not fit
    its column, `RefusedError` if validation refuses the partition, and `NothingToDoError` if no
    requested row is in quarantine; nothing changes then.
    """
    key = pipeline.spec.calendar.check(partition)
    plan = _plan(pipeline, key, ids, changes, Correction("", None, by, reason))
    outcome = _validated(pipeline, key, plan)
    kept = originals(outcome.quarantined, outcome.schema, plan.corrections)
    store = Corrections(pipeline.storage, pipeline.name)
    store.write(key, [one for one in plan.new if one.changes])
    (published,) = publish(pipeline.lake, {key: replace(outcome, quarantined=kept)})
    texts, places = kept["row"].to_pylist(), kept["place"].to_pylist()
    still = {row_id(text, place) for text, place in zip(texts, places, strict=True)}
    # Only now is it known which rows were right without a change.
    store.write(key, [one for one in plan.new if not one.changes and one.id not in still])
    left = {one.id: one for one in read_quarantine(pipeline.lake, key)}
    released = tuple(one for one in plan.asked if one not in still)
    remaining = tuple(left[one] for one in plan.asked if one in left)
    return Released(key, released, remaining, published.rows, published.quarantined, published.changed)


@dataclass(frozen=True)
class _Plan:
    """A release: the rows of the partition, the requested ids, the new corrections and all corrections."""

    rows: Rows
    asked: tuple[str, ...]
    new: Sequence[Correction]
    corrections: Sequence[Correction]


def _plan(
    pipeline: Pipeline, partition: str, ids: Sequence[str], changes: Changes | None, signed: Correction
) -> _Plan:
    where = f"{pipeline.name} {partition}"
    schema = pipeline.lake.schema(Table.PARTITIONS)
    if schema is None:
        raise NotFoundError(f"{where}: nothing is published yet: ingest a partition first")
    waiting = read_quarantine(pipeline.lake, partition)
    by_id = {one.id: one for one in waiting}
    stored = {one.id: one for one in Corrections(pipeline.storage, pipeline.name).of(partition)}
    values = _values(where, schema, changes or {}, pipeline.spec.calendar.zone)
    asked = ids or (by_id if changes is None else changes)
    for one in asked:
        # A row that was released before is accepted, unless its values are changed again.
        done = one in stored and values.get(one, stored[one].corrected) == stored[one].corrected
        if one not in by_id and not done:
            raise NotFoundError(
                f"{where}: no row '{one}' in quarantine: see evergreen quarantine show {pipeline.name} "
                f"--partition {partition}"
            )
    there = tuple(dict.fromkeys(one for one in asked if one in by_id))
    if not there:
        raise NothingToDoError(f"{where}: nothing to release: no row that was asked for is in quarantine")
    new = {}
    for one in there:
        row, known = by_id[one], stored.get(one)
        if known is None or values.get(one, known.corrected) != known.corrected:
            etag = known.etag if known else None
            new[one] = replace(
                signed, original=row.row, place=row.place, corrected=values.get(one), etag=etag
            )
    rows = unvalidated(pipeline.lake, partition, schema, waiting)
    return _Plan(rows, there, list(new.values()), list({**stored, **new}.values()))


def _values(where: str, schema: pa.Schema, changes: Changes, zone: Zone) -> dict[str, dict[str, Any] | None]:
    """The corrected columns by row, as they are stored; None for a row that needs no change."""
    found = {}
    for one, change in changes.items():
        try:
            found[one] = to_json(fit(schema, change, zone)) or None
        except ValueError as error:
            raise SourceError(f"{where}: row {one}: {error}: fix the corrected value") from None
    return found


def _validated(pipeline: Pipeline, partition: str, plan: _Plan) -> Validated:
    judges = Judges(pipeline.spec, load_suite(pipeline.spec))
    group = Group(pipeline.spec, judges)
    record = pipeline.lake.records([partition]).get(partition, {})
    rows = corrected(plan.rows, plan.corrections)
    group.add(partition, rows, record.get("schema_changes", ()))
    published = PublishedPartitions(pipeline.lake, judges.history_needed)
    ((_, outcome),) = group.finish(published.before)
    if isinstance(outcome, EvergreenError):
        raise outcome
    return outcome
