"""The facts of a week, read from a pipeline's storage: none from after it, whenever it is read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from evergreen.alerts.book import read_book
from evergreen.calendar import partitions_of_week, week_of
from evergreen.errors import NotFoundError
from evergreen.explain.partition import partition_explained
from evergreen.lake import PARTITION, Table
from evergreen.registry.history import Kind
from evergreen.reports.facts import Broken, Gap, WeekFacts
from evergreen.reports.read import NIGHTS, nights_of, open_alerts, unlabelled_of, waiting_of
from evergreen.stages import INGEST
from evergreen.timings import timing_of

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.registry.history import Event
    from evergreen.spec import Spec

_EXPLAINED = 12  # gaps, each of which takes some requests
_BY_HAND = (Kind.ROLLED_BACK, Kind.CANARY)


def week_facts(pipeline: Pipeline, partition: str) -> WeekFacts:
    """The facts of the week in which a partition ends.

    Raises `PartitionError` for what is no key and for a snapshot, which has no weeks, `NotFoundError` for a
    week that has not begun, `UnavailableError` or `StorageError` if the storage fails, and `IntegrityError`
    if a version's verdict is damaged.
    """
    spec, lake = pipeline.spec, pipeline.lake
    week, published = week_of(spec.calendar, partition), lake.partitions()
    keys = expected_in(spec, week)
    if not keys or not published or published[-1] < keys[0]:
        newest = f"the newest is {published[-1]}" if published else "nor is any other"
        raise NotFoundError(
            f"{pipeline.name} {partition}: nothing of the week of {week} is published yet, {newest}: name a "
            "partition of a week that has begun with --partition"
        )
    last = min(keys[-1], published[-1])
    expected = [key for key in keys if key <= last]
    there = [key for key in published if expected[0] <= key <= last]
    nights = nights_of(pipeline, last, max(NIGHTS, len(expected)))
    monitored = {record.partition for record, _ in nights}
    events, force = pipeline.registry.history(), pipeline.registry.force()
    return WeekFacts(
        week=week,
        over=is_over(keys, published),
        expected=expected,
        published=there,
        records=lake.records(there),
        gaps=list(_gaps(pipeline, expected, set(there))),
        aside=_aside(pipeline, there),
        nights=nights,
        unseen=[key for key in there if key not in monitored and force.champion(key) is not None],
        events=events_of_week(spec, events, expected[0], min(keys[-1], spec.calendar.shift(last, 1))),
        waiting=waiting_of(pipeline, events, last),
        unlabelled=unlabelled_of(pipeline, nights, last),
        alerts=open_alerts(spec, nights, read_book(pipeline.storage, pipeline.name)[0], last),
        in_force=force.champion(last),
    )


def expected_in(spec: Spec, week: str) -> list[str]:
    """The partitions that end in a week and are not before the first of the pipeline, oldest first."""
    return [key for key in partitions_of_week(spec.calendar, week) if key >= spec.first_partition]


def is_over(keys: Sequence[str], published: Sequence[str]) -> bool:
    """Whether the last of a week's partitions is published, or one after it."""
    return bool(published) and bool(keys) and published[-1] >= keys[-1]


def events_of_week(spec: Spec, events: Sequence[Event], first: str, last: str) -> list[Event]:
    """What happened as of partitions from `first` to `last`.

    A rollback is as of the partition from which its version is in force, long ago perhaps. So what a person
    does is of the week in which it is done, too.
    """

    def told(event: Event) -> bool:
        done = event.kind in _BY_HAND and event.at
        keys = [event.as_of, *([spec.calendar.key_of(datetime.fromisoformat(event.at))] if done else [])]
        return any(first <= key <= last for key in keys)

    return [event for event in events if told(event)]


def _gaps(pipeline: Pipeline, expected: Sequence[str], there: set[str]) -> Iterator[Gap]:
    """The runs of partitions that are not published, those of one kind together."""
    runs: list[tuple[bool, list[str]]] = []
    before = None
    for key in expected:
        kind = None if key in there else _is_empty(pipeline, key)
        if kind is not None:
            if kind is not before:
                runs.append((kind, []))
            runs[-1][1].append(key)
        before = kind
    for number, (empty, keys) in enumerate(runs):
        told = number < _EXPLAINED and not empty
        sentence = partition_explained(pipeline, keys[0]).sentence if told else ""
        yield Gap(keys[0], keys[-1], len(keys), sentence, empty)


def _is_empty(pipeline: Pipeline, partition: str) -> bool:
    """Whether a partition that is not published was ingested, so that there were no rows."""
    ran = timing_of(pipeline, INGEST, partition)
    return ran is not None and not ran.failed


def _aside(pipeline: Pipeline, keys: Sequence[str]) -> list[Broken]:
    rows, partitions = Counter[str](), defaultdict[str, set[str]](set)
    for table in pipeline.lake.single(Table.QUARANTINE, keys, ["expectation"]):
        for row in table.to_pylist():
            for broken in row["expectation"].split("; "):
                rows[broken] += 1
                partitions[broken].add(row[PARTITION])
    return [Broken(name, count, len(partitions[name])) for name, count in rows.most_common()]
