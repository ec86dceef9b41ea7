"""The signal `cusum`: a sequential test of the error."""

from __future__ import annotations

from dataclasses import dataclass

from evergreen.description import Described
from evergreen.signals.performance import PERFORMANCE
from evergreen.signals.signal import Finding, Nights, Signal, Terms, register
from evergreen.signals.turn import Turn, in_quarters
from evergreen.task import Task


@dataclass(frozen=True, kw_only=True)
class CusumSignal(Signal[Described]):
    """Page's cumulative sum of the errors: it detects a small lasting change that no single day shows.

    Its settings are those of the performance, under `monitoring.performance.cusum`: the slack `k` and the
    limit `h`, both in standard deviations of the hold-out's partitions. See `evergreen.signals.sequential`.
    When it fires, the error is estimated to have changed after the last partition on which the sum was 0:
    there the training window begins with `training.window: since change`.

    Example:
        monitoring:
          performance: {cusum: {k: 0.5, h: 5}}
          retrain: {on: [cusum]}
    """

    def by_default(self, task: Task, late: bool, timed: bool) -> bool:
        """For tasks with labels, where there is time."""
        return task in self.tasks and timed

    def turns(self) -> dict[str, Turn]:
        """Slack and limit."""
        return {
            "k": Turn((PERFORMANCE.name, "cusum", "k"), range(1, 9), in_quarters),
            "h": Turn((PERFORMANCE.name, "cusum", "h"), range(2, 13), str),
        }

    def asks_when(self, terms: Terms) -> str:
        """The limit and the slack."""
        limits, word = PERFORMANCE.of(terms.watched).cusum, terms.calendar.grain.facts.word
        return (
            f"the {terms.metric.words} has become worse for good: its CUSUM is above {limits.h:g} standard "
            f"deviations from {word} to {word} (slack {limits.k:g} each {word})"
        )

    def look(self, nights: Nights) -> Finding:
        """Whether the sum is above the limit."""
        from evergreen.signals.sequential import cusum

        if not nights.calendar.has_time:
            return Finding(False, "a snapshot has no CUSUM", {})
        known = [record for record in nights.labelled if record.error is not None]
        if not known:
            return Finding(False, "no labels for a CUSUM", {"partitions": 0})
        limits, newest = PERFORMANCE.of(nights.watched).cusum, known[-1]
        if newest.usual is None or not newest.spread:
            return Finding(False, "the hold-out has too few partitions for a CUSUM", {"spread": None})
        found = cusum(
            [record.error or 0.0 for record in known],
            newest.usual,
            newest.spread,
            limits.k,
            limits.h,
            partitions=[record.partition for record in known],
            higher_is_better=nights.metric.higher_is_better,
        )
        crossed = f"CUSUM crossed {nights.calendar.on(found.at)}" if found.at else ""
        clause = crossed if found.crossed else f"CUSUM {found.sum:.1f} of {limits.h:g}"
        figures = {
            "sum": found.sum,
            "limit": limits.h,
            "since": found.since,
            "at": found.at,
            "usual": newest.usual,
            "spread": newest.spread,
            "partitions": len(known),
        }
        return Finding(found.crossed, clause, figures)


CUSUM = register(
    CusumSignal(
        name="cusum",
        words="CUSUM of the error",
        fires_when="the sum is above `performance.cusum.h`",
        needs=("labels", "time"),
        tasks=(Task.REGRESSION, Task.CLASSIFICATION),
        alert="performance",
        figure="sum",
        dates_change=True,
        source="E. S. Page, Biometrika 41, 1954; D. V. Hinkley, Biometrika 58, 1971 (when it changed)",
    )
)
