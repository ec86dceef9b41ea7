"""The result of a policy: its error, its trainings with their reasons, its nights, and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby, zip_longest
from typing import Any

from evergreen.calendar import Calendar
from evergreen.evaluation.verdict import Outcome
from evergreen.metrics import metric_named
from evergreen.monitoring.record import Decision
from evergreen.signals import of_time
from evergreen.signals.record import Record
from evergreen.signals.window import pooled

_FIGURES = (
    "policy",
    "metric",
    "value",
    "metrics",
    "trainings",
    "promotions",
    "refusals",
    "seconds",
    "fit_seconds",
    "predict_seconds",
    "measure_seconds",
    "false_alarms",
    "delays",
)


@dataclass(frozen=True)
class Event:
    """A training: its as-of key, and the outcome for its challenger.

    `partition` is the one whose decision asked for it, None for a first one; `reason` says why in a sentence,
    and `kind` by the names of the signals (`performance+cusum`), `first`, or `schedule`. `outcome` is the
    gate's word (`promoted`, `worse`, `inconclusive`) and `failed` the details of the checks it did not pass.
    `in_force` is the partition from which on it is in force since its trial was decided, None without one.
    """

    as_of: str
    partition: str | None
    kind: str
    reason: str
    version: str
    estimator: str
    outcome: str
    failed: tuple[str, ...] = ()
    in_force: str | None = None

    @property
    def promoted(self) -> bool:
        """Whether the challenger came in force."""
        return self.outcome == Outcome.PROMOTED

    def to_dict(self) -> dict[str, Any]:
        """The training as JSON values."""
        return {**asdict(self), "promoted": self.promoted}

    @property
    def triggered(self) -> bool:
        """Whether a measurement asked for it, and not the calendar or the age of the champion."""
        names = set(self.kind.split("+")) - {"first", "schedule"}
        return bool(names - of_time())


@dataclass(frozen=True)
class Night:
    """A scored partition: its record (without the counts), and the decision after it."""

    record: Record
    decision: Decision

    @property
    def partition(self) -> str:
        """The partition's key."""
        return self.record.partition

    @property
    def error(self) -> float | None:
        """The training metric over the `labelled` rows, None without any."""
        return self.record.error

    @property
    def labelled(self) -> int:
        """How many rows have a label."""
        return self.record.labelled

    @property
    def drifted(self) -> dict[str, list[str]]:
        """What of each drifted feature drifted."""
        return {name: list(one["why"]) for name, one in self.record.drift.items() if one["drifted"]}

    @property
    def firing(self) -> set[str]:
        """The signals that fire."""
        return set(self.decision.evidence.get("firing", ()))

    @property
    def retrain(self) -> bool:
        """Whether a training is asked for."""
        return self.decision.retrain

    @property
    def halted(self) -> bool:
        """Whether the circuit breaker was open: no training could start."""
        return (self.decision.evidence.get("breaker") or {}).get("state") == "open"


@dataclass(frozen=True)
class PolicyResult:
    """The result of a policy: `value` is `metric` over all scored rows of the range, None without any.

    `metrics` has by name the further metrics of `monitoring.metrics` over the same rows, None where a metric
    cannot be computed.
    `seconds` is the cost of this policy alone: fitting, predicting, measuring (everything else: rows and
    features, evaluating, drift) and deciding. Each counts with the time it took when it was computed, also if
    that was for another policy or in an earlier run. `false_alarms` counts the trainings that were triggered
    before the first known change. `delays` has for each known change the number of partitions until the first
    decision (0: the same night), None if none came before the next change. Both are None if no changes are
    known, or for a fixed schedule, which does not react.
    """

    policy: str
    metric: str
    value: float | None
    trainings: int
    promotions: int
    refusals: int
    seconds: float
    fit_seconds: float = 0.0
    predict_seconds: float = 0.0
    measure_seconds: float = 0.0
    false_alarms: int | None = None
    delays: dict[str, int | None] | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    events: tuple[Event, ...] = field(default=(), repr=False)
    nights: tuple[Night, ...] = field(default=(), repr=False)

    @property
    def decisions(self) -> list[Decision]:
        """The decision after every scored partition, oldest first."""
        return [night.decision for night in self.nights]

    @property
    def records(self) -> list[Record]:
        """The record of every scored partition, oldest first."""
        return [night.record for night in self.nights]

    @property
    def coverage(self) -> dict[float, float]:
        """By level of intervals or sets, the share of all labelled rows that they hold; {} without any."""
        parts = [one for record in self.records for one in record.coverage]
        rows = {one["level"]: 0 for one in parts}
        held = dict.fromkeys(rows, 0)
        for one in parts:
            rows[one["level"]] += one["rows"]
            held[one["level"]] += one["covered"]
        return {level: held[level] / rows[level] for level in rows}

    @property
    def by_partition(self) -> dict[str, float | None]:
        """The error of every scored partition, None where it has no labels."""
        return {night.partition: night.record.error for night in self.nights}

    @property
    def worse(self) -> int:
        """How many challengers were worse."""
        return sum(event.outcome == Outcome.WORSE for event in self.events)

    @property
    def inconclusive(self) -> int:
        """Of how many challengers too little was known."""
        return sum(event.outcome == Outcome.INCONCLUSIVE for event in self.events)

    @property
    def halted(self) -> list[tuple[str, str]]:
        """The first and the last night of every stretch in which the circuit breaker was open."""
        found: list[tuple[str, str]] = []
        for is_open, nights in groupby(self.nights, key=lambda night: night.halted):
            stretch = [night.partition for night in nights]
            found += [(stretch[0], stretch[-1])] if is_open else []
        return found

    @property
    def halted_words(self) -> str:
        """When it was open, in words; empty if never."""
        return ", ".join(f"{first} to {last}" if first != last else first for first, last in self.halted)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values: figures, trainings with their reasons, and the error by partition."""
        figures = {name: getattr(self, name) for name in _FIGURES}
        return {
            **figures,
            "coverage": [{"level": level, "covered": share} for level, share in self.coverage.items()],
            "worse": self.worse,
            "inconclusive": self.inconclusive,
            "halted": [{"from": first, "to": last} for first, last in self.halted],
            "decisions": [event.to_dict() for event in self.events],
            "by_partition": self.by_partition,
        }


def further_metrics(results: Sequence[PolicyResult]) -> list[str]:
    """The names of the further metrics that any of the policies was measured by."""
    return list(dict.fromkeys(name for result in results for name in result.metrics))


def promised_levels(results: Sequence[PolicyResult]) -> list[float]:
    """The levels of the intervals or sets that any of the policies was measured by."""
    return list(dict.fromkeys(level for result in results for level in result.coverage))


def joined(parts: Sequence[PolicyResult]) -> PolicyResult:
    """The results of one policy on stretches of a range, each replayed by itself, as one."""
    if len(parts) == 1:
        return parts[0]
    first, nights = parts[0], tuple(night for part in parts for night in part.nights)
    answers = first.false_alarms is not None
    delays = {day: delay for part in parts for day, delay in (part.delays or {}).items()}
    return PolicyResult(
        policy=first.policy,
        metric=first.metric,
        value=pooled(metric_named(first.metric), (night.record for night in nights)),
        trainings=sum(part.trainings for part in parts),
        promotions=sum(part.promotions for part in parts),
        refusals=sum(part.refusals for part in parts),
        seconds=round(sum(part.seconds for part in parts), 2),
        fit_seconds=round(sum(part.fit_seconds for part in parts), 2),
        predict_seconds=round(sum(part.predict_seconds for part in parts), 2),
        measure_seconds=round(sum(part.measure_seconds for part in parts), 2),
        false_alarms=sum(part.false_alarms or 0 for part in parts) if answers else None,
        delays=delays if answers else None,
        metrics={
            name: pooled(metric_named(name), (night.record for night in nights)) for name in first.metrics
        },
        events=tuple(event for part in parts for event in part.events),
        nights=nights,
    )


def detections(
    calendar: Calendar, events: Sequence[Event], known: Sequence[str]
) -> tuple[int, dict[str, int | None]]:
    """False alarms, and the delay of each known day of change; see `PolicyResult`.

    A decision is attributed to the newest change at or before its partition.
    """
    triggered = sorted(event.partition for event in events if event.partition and event.triggered)
    days = sorted(set(known))
    delays: dict[str, int | None] = {}
    for day, following in zip_longest(days, days[1:]):
        answer = next((key for key in triggered if key >= day and (not following or key < following)), None)
        delays[day] = None if answer is None else calendar.distance(day, answer)
    return sum(not days or key < days[0] for key in triggered), delays
