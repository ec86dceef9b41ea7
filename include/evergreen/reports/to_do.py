"""What a person would do after a night: short, concrete, and each with what does it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from evergreen.alerts.conditions import MISSING, QUARANTINE
from evergreen.alerts.stage import NIGHT
from evergreen.monitoring.health import quarantined_share
from evergreen.numbers import percent, rows_in_words
from evergreen.registry.history import Kind
from evergreen.reports.report import Link, ToDo

if TYPE_CHECKING:
    from evergreen.alerts.alert import Alert
    from evergreen.registry.history import Event
    from evergreen.reports.facts import NightFacts, Waiting
    from evergreen.spec import Spec

_DOUBLED = 2.0
_CHANCE = 0.01  # how likely a share is as large by chance, above which it is not called larger
_TOLD = frozenset({QUARANTINE, MISSING, NIGHT})
"""The alerts whose subject the report tells of itself, with more."""


def to_do(spec: Spec, facts: NightFacts) -> tuple[ToDo, ...]:
    """What there is to do after the night, the most pressing first; nothing after a quiet one."""
    return (
        *of_alerts(facts.alerts),
        *_unfinished(spec, facts),
        *_missing(spec, facts),
        *_quarantine(spec, facts),
        *of_refused_versions(spec, facts.events),
        *of_waiting(spec, facts.waiting),
        *of_labels(spec, facts.unlabelled, facts.partition),
    )


def larger_share(facts: NightFacts) -> float | None:
    """The usual share of rows in quarantine, where that of this partition is more than twice as large.

    Usual is that of the partitions that say so, all their rows together. A share that chance alone explains
    (the upper tail of a binomial distribution) is not larger, so one row of ten is no finding where one of
    twenty is usual. None if it is not, or nothing is known.
    """
    now = facts.records.get(facts.partition, {})
    before = [record for key, record in facts.records.items() if key != facts.partition]
    usual = quarantined_share(
        {name: sum(int(record.get(name, 0)) for record in before) for name in ("rows", "quarantined")}
        if before
        else {}
    )
    share = quarantined_share(now)
    if usual is None or share is None or share <= _DOUBLED * usual:
        return None
    from scipy.stats import binom

    rows = int(now["rows"]) + facts.aside
    return usual if float(binom.sf(facts.aside - 1, rows, usual)) < _CHANCE else None


def of_alerts(alerts: Sequence[Alert]) -> Iterator[ToDo]:
    """What the open alerts say themselves, the critical ones first."""
    order = sorted(alerts, key=lambda alert: alert.severity != "critical")
    for alert in order:
        if alert.key not in _TOLD:
            yield ToDo(f"[{alert.severity}] {alert.title}: {alert.text}")


def _unfinished(spec: Spec, facts: NightFacts) -> Iterator[ToDo]:
    name, key = spec.name, facts.partition
    at = f"{name} --partition {key}"
    if not facts.is_published:
        aside = any(ground.word == "refused" for ground in facts.came.grounds)
        commands = (*([f"evergreen quarantine show {at}"] if aside else []), f"evergreen ingest {at}")
        yield ToDo(f"{facts.came.sentence}: mend its source, then ingest it", commands, facts.page)
    elif facts.record is not None:
        return
    elif facts.in_force is None:
        yield ToDo(
            f"no version was in force for {key}, so it is not scored: train one", (f"evergreen train {name}",)
        )
    else:
        commands = (f"evergreen score {at}", f"evergreen monitor {at}")
        yield ToDo(f"{key} is published and not monitored: score it, then monitor it", commands)


def _missing(spec: Spec, facts: NightFacts) -> Iterator[ToDo]:
    """Which partitions are missing, where more are than the description allows."""
    if MISSING not in {alert.key for alert in facts.alerts} or len(facts.published) < 2:
        return
    first, last = (
        spec.calendar.shift(key, step) for key, step in zip(facts.published[-2:], (1, -1), strict=True)
    )
    if count := max(0, spec.calendar.distance(first, last) + 1):
        span = f"--partition {first}" + (f" --to {last}" if count > 1 else "")
        yield ToDo(
            f"{spec.calendar.counted(count)} before {facts.partition} "
            f"{'is' if count == 1 else 'are'} not published: ingest {'it' if count == 1 else 'them'}",
            (f"evergreen ingest {spec.name} {span}",),
        )


def _quarantine(spec: Spec, facts: NightFacts) -> Iterator[ToDo]:
    if not facts.is_published or not facts.aside:
        return
    at = f"{spec.name} --partition {facts.partition}"
    more = ""
    if (usual := larger_share(facts)) is not None:
        share = percent(quarantined_share(facts.records[facts.partition]))
        more = f", {share} where {percent(usual)} is usual: see what changed in the sources"
    broken = [ground.name for ground in facts.came.grounds if ground.word == "in quarantine"]
    yield ToDo(
        in_quarantine(facts.aside, facts.partition, broken, more),
        (f"evergreen quarantine show {at}", f"evergreen quarantine release {at} --reason WHY"),
        facts.page,
    )


def in_quarantine(rows: int, of: str, broken: Sequence[str], more: str = "") -> str:
    """How many rows of what are in quarantine, what they break (the most broken first), and what to do."""
    are, them, those = ("are", "them", "those that are") if rows > 1 else ("is", "it", "it if it is")
    said = f"{rows_in_words(rows)} of {of} {are} in quarantine{more}"
    if broken:
        who = "it breaks" if rows == 1 else "most break" if len(broken) > 1 else "they break"
        said += f"; {who} {broken[0]}"
    return f"{said}: look at {them}, and release {those} right"


def of_refused_versions(spec: Spec, events: Sequence[Event]) -> Iterator[ToDo]:
    """A challenger that is worse: one that is inconclusive is on trial, and of another a person said no."""
    for event in events:
        # Earlier releases did not say which: theirs count as worse.
        if event.kind is Kind.REFUSED and event.reason.get("verdict", "worse") == "worse":
            why = event.reason.get("gate", "")
            yield ToDo(
                f"the training as of {event.as_of} was refused{f' ({why})' if why else ''}, and the champion "
                "stays: see on its card which check failed, and train again once the cause is mended",
                (f"evergreen explain {spec.name} {event.version}", f"evergreen train {spec.name}"),
                card_of(event.version),
            )


def of_waiting(spec: Spec, waiting: Waiting | None) -> Iterator[ToDo]:
    """A version that a person decides on, or its shadow."""
    if waiting is None:
        return
    promote = f"evergreen models promote {spec.name} {waiting.version}"
    said = f"{waiting.version} waits: {waiting.sentence}"
    page = card_of(waiting.version)
    if waiting.shadow:
        yield ToDo(f"{said}: see how far its shadow is", (f"evergreen serve shadow {spec.name}",), page)
    else:
        yield ToDo(f"{said}: read its card, and promote it or leave it", (promote,), page)


def of_labels(spec: Spec, unlabelled: Sequence[str], partition: str) -> Iterator[ToDo]:
    """The partitions, oldest first, whose labels were due by the night of `partition` and are not there."""
    if not unlabelled:
        return
    first, last = unlabelled[0], unlabelled[-1]
    nights = [min(spec.calendar.ahead(key, spec.label_delay), partition) for key in (first, last)]
    span = f"--partition {nights[0]}" + (f" --to {nights[1]}" if nights[1] != nights[0] else "")
    said = (
        f"the labels of {first}"
        if first == last
        else (f"the labels of {spec.calendar.counted(len(unlabelled))}, {first} to {last},")
    )
    yield ToDo(
        f"{said} are due and not there: see the source of the labels, then read them",
        (f"evergreen labels {spec.name} {span}",),
    )


def card_of(version: str) -> Link:
    """The model card of a version."""
    return Link("model card", f"../models/{version}/card.html")
