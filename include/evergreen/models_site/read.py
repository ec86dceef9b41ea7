"""What the pages are made of, read from the storage of a pipeline: only what is shown.

A pipeline may have a thousand versions and years of nights. So nights and versions come in pages, and nothing
is read for each of those that are not on it.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evergreen.errors import IntegrityError, NotFoundError
from evergreen.lake import PARTITION, Table
from evergreen.registry.history import Event, Force, state_in
from evergreen.registry.ids import as_of_version
from evergreen.registry.overview import compared_with, figures
from evergreen.registry.versions import CARD, LINEAGE, METRICS
from evergreen.status.read import nights_of, status_of
from evergreen.together import together

if TYPE_CHECKING:
    from evergreen.monitoring.record import Decision
    from evergreen.pipeline import Pipeline
    from evergreen.registry.history import State
    from evergreen.registry.registry import Registry
    from evergreen.signals.record import Record
    from evergreen.status.summary import Status

NIGHTS = 42
"""How many nights a page shows."""

VERSIONS = 12
"""How many events of versions a page shows."""

_NIGHT = ("version", "error", "promised", "drifted_share", "drift", "health", "retrain", "reason")


@dataclass(frozen=True)
class NightFacts:
    """A monitored night: its champion, the error of its rows and the promised one, None where not known.

    `drifted` are the features that drifted, of `features` that were looked at. `seconds` is how long the last
    run of each stage took by its name.
    """

    partition: str
    version: str
    error: float | None
    promised: float | None
    share: float
    drifted: tuple[str, ...]
    features: int
    seconds: dict[str, float]
    retrain: bool
    reason: str


@dataclass(frozen=True)
class VersionLine:
    """What happened to a version by an event, the event's number, and what the version is now.

    `metrics` are those of the hold-out by name, with `intervals` (low, high) of those that have one; both are
    empty where the files are gone or damaged, which `problem` says.
    """

    event: Event
    state: State
    metrics: dict[str, float | None] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class PipelineFacts:
    """What the page of a pipeline shows.

    `nights` are those of the page, oldest first, between the neighbouring pages that end at `older` and
    `newer` (None: there is none). `events` are those of the nights' partitions, oldest first. `last` is the
    newest night of the page with its decision, in full. `aside` counts the rows in quarantine of the nights
    by the expectation that they break. `lines` are events of versions, newest first; the next page has those
    before number `before`. `waiting` are versions that nobody has decided on.
    """

    status: Status
    nights: Sequence[NightFacts] = ()
    older: str | None = None
    newer: str | None = None
    total: int = 0
    events: Sequence[Event] = ()
    last: tuple[Record, Decision] | None = None
    aside: Sequence[tuple[str, int]] = ()
    lines: Sequence[VersionLine] = ()
    before: int | None = None
    at_newest: bool = True


@dataclass(frozen=True)
class VersionFacts:
    """A version: its `card` as it was stored, what it is now, and the `events` that say how it came to be so.

    `over` is the champion it was compared with in its gate, `beat` the one it replaced, and `successor` the
    version that took its place; None where there is none. `problem` says why there is no card.
    """

    version: str
    state: State
    events: Sequence[Event]
    champion: str | None
    over: str | None = None
    successor: str | None = None
    lineage: dict[str, Any] = field(default_factory=dict)
    card: str | None = None
    problem: str = ""


def pipeline_facts(
    pipeline: Pipeline, moment: datetime, *, until: str | None = None, before: int | None = None
) -> PipelineFacts:
    """What the page of a pipeline shows: the nights up to a partition, and the events before a number.

    All of it is told from one version of each table. Raises `UnavailableError` or `StorageError` if the
    storage fails, `IntegrityError` for damaged records.
    """
    with pipeline.lake.steady():
        force = pipeline.registry.pointed()
        status = status_of(pipeline, moment, force)
        keys = pipeline.lake.partitions(Table.MONITORING)
        end = bisect_right(keys, until) if until else len(keys)
        shown = keys[max(0, end - NIGHTS) : end]
        return PipelineFacts(
            status=status,
            nights=_nights(pipeline, shown),
            older=keys[end - NIGHTS - 1] if end > NIGHTS else None,
            newer=keys[min(end + NIGHTS, len(keys)) - 1] if end < len(keys) else None,
            total=len(keys),
            events=_between(pipeline.registry, shown, force),
            last=next(iter(nights_of(pipeline, shown[-1:])), None),
            aside=_aside(pipeline, shown),
            **_lines(pipeline.registry, force, before),
        )


def version_facts(pipeline: Pipeline, version: str) -> VersionFacts:
    """What the page of a version shows; raises `NotFoundError` if it is not committed."""
    registry = pipeline.registry
    files, force = registry.files(version), registry.pointed()
    lineage: dict[str, Any] = {}
    over, card, problem = None, None, ""
    try:
        lineage = registry.content(version, LINEAGE, dict) if LINEAGE in files else {}
        over = registry.content(version, METRICS, compared_with) if METRICS in files else None
        card = registry.read(version, CARD).decode() if CARD in files else None
    except IntegrityError as error:
        problem = str(error)
    events = registry.back_to(as_of_version(version), force)
    return VersionFacts(
        version=version,
        state=state_in(force, version, events),
        events=[event for event in events if event.concerns(version)],
        champion=force.champion(),
        over=over,
        successor=_successor(events, version),
        lineage=lineage,
        card=card,
        problem=problem,
    )


def _successor(events: Sequence[Event], version: str) -> str | None:
    """The version that has taken its place since it last came into force: promoted, or gone back to."""
    ways = (event for event in reversed(events) if event.puts_in_force)
    last = next((event for event in ways if version in (event.version, event.replaces)), None)
    return last.version if last and last.version != version else None


def _nights(pipeline: Pipeline, keys: Sequence[str]) -> list[NightFacts]:
    tables = pipeline.lake.single(Table.MONITORING, keys, _NIGHT)
    return [_night(row) for table in tables for row in table.to_pylist()]


def _night(row: dict[str, Any]) -> NightFacts:
    drift, health = json.loads(row["drift"]), json.loads(row["health"])
    return NightFacts(
        partition=row[PARTITION],
        version=row["version"],
        error=row["error"],
        promised=row["promised"],
        share=row["drifted_share"],
        drifted=tuple(name for name, found in drift.items() if found.get("drifted")),
        features=len(drift),
        seconds=health.get("seconds") or {},
        retrain=row["retrain"],
        reason=row["reason"],
    )


def _between(registry: Registry, keys: Sequence[str], force: Force) -> list[Event]:
    if not keys:
        return []
    return [event for event in registry.back_to(keys[0], force) if keys[0] <= event.as_of <= keys[-1]]


def _aside(pipeline: Pipeline, keys: Sequence[str]) -> list[tuple[str, int]]:
    found = Counter[str]()
    for table in pipeline.lake.single(Table.QUARANTINE, keys, ["expectation"]):
        for broken in table.column("expectation").to_pylist():
            found.update(broken.split("; "))
    return found.most_common()


def _lines(registry: Registry, force: Force, before: int | None) -> dict[str, Any]:
    last = force.seq if before is None else min(before - 1, force.seq)
    events = registry.numbered(last, VERSIONS, force.seq)
    # What became of a version since may be said by any later event.
    since = force.seq - (events[0].seq if events else force.seq) + 1
    later = registry.numbered(force.seq, since, force.seq)

    def line(event: Event) -> VersionLine:
        state = state_in(force, event.version, later)
        return _measured(registry, VersionLine(event, state))

    return {
        "lines": together(line, reversed(events)),
        "before": events[0].seq if events and events[0].seq > 1 else None,
        "at_newest": last == force.seq,
    }


def _measured(registry: Registry, line: VersionLine) -> VersionLine:
    try:
        metrics, intervals = registry.content(line.event.version, METRICS, _figures)
    except (NotFoundError, IntegrityError) as error:
        return VersionLine(line.event, line.state, problem=str(error))
    return VersionLine(line.event, line.state, metrics, intervals)


def _figures(stored: dict[str, Any]) -> tuple[dict[str, Any], dict[str, tuple[float, float]]]:
    intervals = (stored.get("evaluation") or {}).get("intervals") or {}
    return figures(stored), {name: (found["low"], found["high"]) for name, found in intervals.items()}
