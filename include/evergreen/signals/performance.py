"""The signal `performance`: the error over several partitions compared with the promised error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from evergreen.calendar import Calendar, Length
from evergreen.description import Described
from evergreen.metrics import Metric
from evergreen.signals.lengths import DEFAULTS
from evergreen.signals.record import Record
from evergreen.signals.signal import Finding, Nights, Signal, Terms, Watched, register
from evergreen.signals.turn import Turn, in_partitions, in_percent
from evergreen.signals.window import newest, pooled
from evergreen.signals.words import against, stretch
from evergreen.task import Task
from evergreen.units import AnyLength, Column, Tolerance


class Cusum(Described):
    """Page's cumulative sum of partitions' errors, in standard deviations of the hold-out's partitions."""

    k: float = Field(default=0.5, ge=0)
    """The slack: a partition adds its excess over the promised error less this."""
    h: float = Field(default=8, gt=0)
    """The sum at which the signal fires."""


class Performance(Described):
    """How much the error may exceed that on the hold-out, over how many partitions with labels."""

    tolerance: Tolerance = 0.25
    """The share of the promise's distance from a perfect model that is allowed: of the error itself, or of
    what an accuracy or an area lacks to 1.
    """
    over: AnyLength | None = None
    """The length up to the newest partition that has as many partitions with labels as are judged together;
    default by grain. Example: 5 partitions
    """
    cusum: Cusum = Cusum()
    slices: tuple[Column, ...] = ()
    """Columns by whose values the error is also recorded. Example: [workingday]"""


@dataclass(frozen=True, kw_only=True)
class PerformanceSignal(Signal[Performance]):
    """The metric over all rows of the last partitions with labels, against the promise.

    It is measured of the rows of all of them together, not as a mean of the partitions' own figures. It looks
    at several partitions, so a single bad one does not make it fire.

    Example:
        monitoring:
          performance: {tolerance: 25%, over: 5 partitions}
          retrain: {on: [performance]}
    """

    def over(self, watched: Watched, calendar: Calendar, partition: str) -> int:
        """How many partitions with labels are judged together at a partition: at least 1."""
        length = self.length(watched, calendar)
        return max(calendar.count(length, before=calendar.shift(partition, 1)), 1) if calendar.has_time else 1

    def length(self, watched: Watched, calendar: Calendar) -> Length:
        """The length `over`, as described or by default."""
        described = self.of(watched).over
        return DEFAULTS[calendar.grain].over if described is None else described

    def by_default(self, task: Task, late: bool, timed: bool) -> bool:
        """For the tasks with labels of a snapshot. Where there is time, a sequential test tells more."""
        return task in self.tasks and not timed

    def measured(self, watched: Watched) -> dict[str, Any]:
        """The slices."""
        return self.of(watched).model_dump(mode="json", include={"slices"})

    def turns(self) -> dict[str, Turn]:
        """Partitions and tolerance."""
        return {
            "over": Turn((self.name, "over"), range(1, 15), in_partitions),
            "tolerance": tolerance_turn(),
        }

    def asks_when(self, terms: Terms) -> str:
        """The tolerance, and over how many partitions."""
        calendar, tolerance = terms.calendar, self.of(terms.watched).tolerance
        over = f" over {calendar.in_words(self.length(terms.watched, calendar))}" if calendar.has_time else ""
        share = terms.metric.told_share(tolerance)
        return f"the {terms.metric.words}{over} is worse than promised by more than {share}"

    def look(self, nights: Nights) -> Finding:
        """Whether the metric is beyond the tolerance."""
        limits, calendar = self.of(nights.watched), nights.calendar
        over = self.over(nights.watched, calendar, nights.newest.partition)
        known = newest(nights.records, over, nights.counts)
        if len(known) < over:
            clause = f"labels of {len(known)} of the {calendar.counted(over)} that performance is judged by"
            if len(known) < len(nights.labelled):
                clause = f"not pooled: earlier nights are not scored ({clause})"
            return Finding(False, clause, {"partitions": len(known), "wanted": over})
        over_them = f" over {stretch(calendar, known, nights.newest)}" if calendar.has_time else ""
        error = pooled(nights.metric, known)
        if error is None:
            clause = f"{nights.metric.words} not measured{over_them}: {_undefined(nights.metric, known)}"
            return Finding(False, clause, {"partitions": len(known), "wanted": over})
        rows = sum(record.labelled for record in known)
        promised = sum((record.promised or 0.0) * record.labelled for record in known) / rows
        fires = beyond_tolerance(nights.metric, nights.watched, error, promised)
        figures = {
            "error": error,
            "promised": promised,
            "tolerance": limits.tolerance,
            "partitions": len(known),
            "first": known[0].partition,
            "last": known[-1].partition,
        }
        clause = (
            f"{nights.metric.words} {against(error, promised, over_them)}"
            f"{'' if fires else f' ({tolerated(nights.metric, limits.tolerance)})'}"
        )
        return Finding(fires, clause, figures)


def beyond_tolerance(metric: Metric, watched: Watched, value: float | None, promised: float | None) -> bool:
    """Whether a metric is worse than promised by more than the tolerance; False if either is unknown."""
    if value is None or promised is None:
        return False
    return metric.loss(value, promised) > metric.allowance(promised, PERFORMANCE.of(watched).tolerance)


def _undefined(metric: Metric, records: Sequence[Record]) -> str:
    """Why a metric of several nights together has no value."""
    said = (record.metrics.get(metric.name, {}).get("undefined") for record in records)
    return next(filter(None, said), "an older release kept too little of these nights")


def tolerated(metric: Metric, tolerance: float) -> str:
    """The tolerance in words, with what it is a share of where that is not the promise itself."""
    return f"tolerance {metric.told_share(tolerance)}"


def tolerance_turn() -> Turn:
    """How much an error may differ from the promised one."""
    return Turn((PERFORMANCE.name, "tolerance"), range(5, 105, 5), in_percent)


PERFORMANCE = register(
    PerformanceSignal(
        name="performance",
        words="performance",
        fires_when="the metric over all rows of the last `performance.over` labelled partitions is worse "
        "than promised by more than `performance.tolerance`",
        needs=("labels",),
        tasks=(Task.REGRESSION, Task.CLASSIFICATION),
        knobs=Performance,
        alert="performance",
        figure="error",
    )
)
