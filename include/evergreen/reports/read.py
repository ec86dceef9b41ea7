"""The facts of a night, read from a pipeline's storage: none from after it, whenever it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.alerts.book import read_book
from evergreen.alerts.conditions import conditions, judged
from evergreen.alerts.mute import mute_of
from evergreen.data_docs.index import newest
from evergreen.data_docs.store import runs_of
from evergreen.evaluation.verdict import Verdict
from evergreen.explain.partition import partition_explained
from evergreen.labels.known import newest_known
from evergreen.lake import Table
from evergreen.monitoring.health import usual_partitions
from evergreen.monitoring.known import known_as_of
from evergreen.monitoring.record import decisions_in, records_in
from evergreen.registry.ids import as_of_version
from evergreen.registry.versions import GATE
from evergreen.reports.facts import NightFacts, Waiting
from evergreen.reports.report import Link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.alerts.alert import Alert
    from evergreen.alerts.book import Book
    from evergreen.monitoring.record import Decision
    from evergreen.pipeline import Pipeline
    from evergreen.registry.history import Event
    from evergreen.signals.record import Record
    from evergreen.spec import Spec

NIGHTS = 28
"""How many monitored partitions a report looks back to at least."""


def night_facts(pipeline: Pipeline, partition: str) -> NightFacts:
    """The facts of a partition and of its night.

    Raises `PartitionError` for what is no key, `UnavailableError` or `StorageError` if the storage fails, and
    `IntegrityError` if a version's verdict is damaged.
    """
    spec, lake = pipeline.spec, pipeline.lake
    key = spec.calendar.check(partition)
    published = [one for one in lake.partitions() if one <= key]
    before = [one for one in published if one != key]
    nights = nights_of(pipeline, key)
    book, _ = read_book(pipeline.storage, pipeline.name)
    events = pipeline.registry.history()
    return NightFacts(
        partition=key,
        came=partition_explained(pipeline, key),
        published=published,
        records=lake.records([*usual_partitions(spec.calendar, before, key), key]),
        nights=nights,
        events=events_of(spec, events, before[-1:], key),
        waiting=waiting_of(pipeline, events, key),
        unlabelled=unlabelled_of(pipeline, nights, key),
        alerts=open_alerts(spec, nights, book, key),
        in_force=pipeline.registry.champion(key),
        page=_page(pipeline, key),
    )


def nights_of(pipeline: Pipeline, partition: str, least: int = NIGHTS) -> list[tuple[Record, Decision]]:
    """The last monitored nights up to that of a partition, as they were known after it, oldest first.

    At least so many, and where labels come later those that had theirs by then too.
    """
    spec, lake = pipeline.spec, pipeline.lake
    keys = [key for key in lake.partitions(Table.MONITORING) if key <= partition]
    if not keys:
        return []
    late = spec.calendar.count(spec.label_delay, before=keys[-1])
    found = lake.find(Table.MONITORING, keys[-(least + late) :][0], keys[-1])
    if found is None:
        return []
    return list(zip(known_as_of(spec, records_in(found), partition), decisions_in(found), strict=True))


def events_of(spec: Spec, events: Sequence[Event], before: Sequence[str], partition: str) -> list[Event]:
    """What happened as of partitions after the one `before` (none: any), up to the one after `partition`.

    A training that a night asks for is as of the partition after it. A snapshot has one partition for good,
    and the last event is told.
    """
    if not spec.calendar.has_time:
        return list(events[-1:])
    last = spec.calendar.shift(partition, 1)
    return [one for one in events if one.as_of <= last and all(key < one.as_of for key in before)]


def open_alerts(
    spec: Spec, nights: Sequence[tuple[Record, Decision]], book: Book, partition: str
) -> list[Alert]:
    """The alerts that are open after a night: those of its record, and those that it says nothing of.

    One that is muted is left out: somebody knows of it.
    """
    now = [(record, decision) for record, decision in nights[-1:] if record.partition == partition]
    found = {alert.key: alert for one in now for alert in conditions(spec, *one)}
    known = {key for one in now for key in judged(spec, *one)}
    for key, entry in book.entries.items():
        alert = entry.alert
        if not entry.over and (
            alert.partition == partition or (alert.partition < partition and key not in known)
        ):
            found[key] = alert
    return [alert for key, alert in found.items() if mute_of(book.mutes, key) is None]


def waiting_of(pipeline: Pipeline, events: Sequence[Event], partition: str) -> Waiting | None:
    """The newest version that is neither promoted nor refused, as of the partition after this one."""
    last = pipeline.spec.calendar.shift(partition, 1)
    undecided = pipeline.registry.undecided(events)
    open_ones = [version for version in undecided if as_of_version(version) <= last]
    if not open_ones:
        return None
    version = open_ones[0]
    verdict = pipeline.registry.content(version, GATE, Verdict.from_dict)
    return Waiting(version, verdict.sentence, verdict.shadow > 0) if verdict.waits else None


def unlabelled_of(pipeline: Pipeline, nights: Sequence[tuple[Record, Decision]], partition: str) -> list[str]:
    """The monitored partitions whose labels were due by the night of a partition and are not there."""
    if not pipeline.spec.label_delay:
        return []
    newest_due = newest_known(pipeline.spec, partition)
    there = set(pipeline.lake.partitions(Table.LABELS))
    due = [record.partition for record, _ in nights if record.partition <= newest_due]
    return [key for key in due if key not in there]


def _page(pipeline: Pipeline, partition: str) -> Link | None:
    run = newest(runs_of(pipeline)).get(partition)
    return Link("Data Docs", f"../data_docs/{run.href}") if run else None
