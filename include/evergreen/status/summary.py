"""The state of a pipeline, told from what its storage holds. Pure: no input or output, and no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evergreen.monitoring.health import quarantined_share
from evergreen.registry.ids import as_of_version

if TYPE_CHECKING:
    from evergreen.alerts.alert import Alert
    from evergreen.monitoring.record import Decision
    from evergreen.registry.history import Canary, Force
    from evergreen.signals.record import Record
    from evergreen.spec import Spec


@dataclass(frozen=True)
class Facts:
    """What is known of a pipeline: `published` are the keys of its partitions, oldest first.

    `nights` are its last monitored partitions with the decisions after them, oldest first, and `newest` is
    the record of the newest published partition. `alerts` are open. `undecided` are the
    versions from the champion on, newest first, that were neither promoted nor refused.
    """

    force: Force
    published: Sequence[str] = ()
    newest: Mapping[str, Any] = field(default_factory=dict)
    nights: Sequence[tuple[Record, Decision]] = ()
    alerts: Sequence[Alert] = ()
    undecided: Sequence[str] = ()


@dataclass(frozen=True)
class Night:
    """A monitored partition: the metric of its rows and what was promised, None where nothing is known of it.

    `pooled` is the metric over the last nights with labels, this one included; `drifted` is the share of the
    features that drifted; `retrain` and `reason` are what was decided.
    """

    partition: str
    version: str
    error: float | None
    pooled: float | None
    promised: float | None
    drifted: float | None
    retrain: bool
    reason: str


@dataclass(frozen=True)
class Status:
    """The state of a pipeline.

    `age` counts the published partitions since the champion's as-of. `metric` is that of the training;
    `error`, pooled over the last nights with labels, and `promised` are those of the last night `measured`.
    `newest` is the newest published partition and `quarantined` the share of its rows that are set aside.
    `last` is the last night that was monitored; `nights` are the last ones, oldest first. `versions` counts
    the stored ones, for who has counted them; those `undecided`, not older than the champion, were neither
    promoted nor refused. The next tick is at `next_at` (in UTC) and takes `next_partitions`; there is none
    where ingest is `held`, which says how; only Airflow knows it. `to_do` is what a person would do next, if
    anything, and `problem` says why the state is not known, in which case the rest is empty.
    """

    pipeline: str
    champion: str | None = None
    canary: Canary | None = None
    age: int | None = None
    metric: str | None = None
    error: float | None = None
    promised: float | None = None
    measured: str | None = None
    newest: str | None = None
    partitions: int = 0
    quarantined: float | None = None
    last: Night | None = None
    nights: tuple[Night, ...] = ()
    alerts: tuple[Alert, ...] = ()
    versions: int | None = None
    undecided: tuple[str, ...] = ()
    next_at: datetime | None = None
    next_partitions: tuple[str, ...] = ()
    held: str = ""
    to_do: str | None = None
    problem: str | None = None

    def while_held(self, how: str) -> Status:
        """The same while Airflow starts no ingest by the clock, such as one that is `paused`."""
        return replace(self, held=how, next_at=None, next_partitions=())


def summary(spec: Spec, facts: Facts, moment: datetime) -> Status:
    """The state of a pipeline at a moment (with an offset), which says only what its next tick is."""
    champion, published = facts.force.champion(), facts.published
    nights = tuple(_night(spec, record, decision) for record, decision in facts.nights)
    known = [night for night in nights if night.error is not None]
    tick = next(iter(spec.ticks.following(moment, spec.first_partition)), None)
    return Status(
        pipeline=spec.name,
        champion=champion,
        canary=facts.force.canary,
        age=age_of(champion, published) if spec.calendar.has_time else None,
        metric=spec.metric.name,
        error=known[-1].pooled if known else None,
        promised=known[-1].promised if known else None,
        measured=known[-1].partition if known else None,
        newest=published[-1] if published else None,
        partitions=len(published),
        quarantined=quarantined_share(facts.newest),
        last=nights[-1] if nights else None,
        nights=nights,
        alerts=tuple(facts.alerts),
        undecided=tuple(facts.undecided),
        next_at=tick.at if tick else None,
        next_partitions=tick.partitions if tick else (),
        to_do=_to_do(spec, facts, champion),
    )


def age_of(champion: str | None, published: Sequence[str]) -> int | None:
    """How many published partitions came since the champion's as-of; None without a champion."""
    return None if champion is None else sum(key >= as_of_version(champion) for key in published)


def _night(spec: Spec, record: Record, decision: Decision) -> Night:
    pooled = record.metrics.get(spec.metric.name, {}).get("pooled")
    return Night(
        record.partition,
        record.version,
        record.error,
        record.error if pooled is None else pooled,
        record.promised,
        record.drifted_share,
        decision.retrain,
        decision.reason,
    )


def _to_do(spec: Spec, facts: Facts, champion: str | None) -> str | None:
    name = spec.name
    if not facts.published:
        return f"nothing is published yet: evergreen ingest {name}"
    if champion is None and facts.undecided:
        return f"a version waits for a person: evergreen models promote {name} {facts.undecided[0]}"
    if champion is None:
        return f"no version is in force yet: evergreen train {name}"
    if facts.nights and facts.nights[-1][0].partition < facts.published[-1]:
        return (
            f"{facts.published[-1]} is published and not monitored yet: evergreen score {name}, then "
            f"evergreen monitor {name}"
        )
    return None
