"""The signal `estimate`: the error expected from the model's own probabilities."""

from __future__ import annotations

from dataclasses import dataclass

from evergreen.description import Described
from evergreen.numbers import percent
from evergreen.signals.performance import PERFORMANCE, beyond_tolerance, tolerance_turn
from evergreen.signals.record import Record
from evergreen.signals.signal import Finding, Nights, Terms, register
from evergreen.signals.single import OfSinglePartitions
from evergreen.signals.turn import Turn
from evergreen.signals.words import against
from evergreen.task import Task


@dataclass(frozen=True, kw_only=True)
class EstimateSignal(OfSinglePartitions[Described]):
    """The training metric expected from a calibrated classifier's own probabilities, without labels.

    It is marked as an estimate wherever it is shown. It cannot detect concept drift. It is compared with the
    promised metric by the tolerance of `performance`.

    Example:
        monitoring:
          performance: {tolerance: 25%}
          retrain: {on: [estimate], when: 2 of 3 partitions}
    """

    def by_default(self, task: Task, late: bool, timed: bool) -> bool:
        """For a classification whose labels come later: the estimate is known before them."""
        return late and task in self.tasks

    def turns(self) -> dict[str, Turn]:
        """Tolerance, and how often it must hold."""
        return {"tolerance": tolerance_turn(), **super().turns()}

    def holds(self, nights: Nights, record: Record) -> bool:
        """Whether the estimated metric is worse than promised by more than the tolerance."""
        return beyond_tolerance(nights.metric, nights.watched, record.estimated, record.promised)

    def asks_when(self, terms: Terms) -> str:
        """The tolerance, and how often."""
        tolerance = terms.metric.told_share(PERFORMANCE.of(terms.watched).tolerance)
        return (
            f"the {terms.metric.words} estimated without labels is worse than promised by more than "
            f"{tolerance}{self.often(terms)}"
        )

    def look(self, nights: Nights) -> Finding:
        """Whether the estimate was beyond the tolerance often enough."""
        newest, metric = nights.newest, nights.metric.words
        if newest.estimated is None or newest.promised is None:
            return Finding(False, f"no estimate of the {metric} without labels", {"estimated": None})
        held, tolerance = self.held(nights), PERFORMANCE.of(nights.watched).tolerance
        clause = (
            f"{metric} estimated without labels over {percent(tolerance)} worse than promised {held.words}"
            f" ({held.wanted_words}{against(newest.estimated, newest.promised)})"
        )
        figures = {"estimated": newest.estimated, "promised": newest.promised, "tolerance": tolerance}
        return Finding(held.fires, clause, {**figures, **held.figures})


ESTIMATE = register(
    EstimateSignal(
        name="estimate",
        words="estimated performance",
        fires_when="the estimated metric is worse than promised by more than `performance.tolerance`, in "
        "`retrain.when` of the last partitions",
        needs=("probabilities",),
        tasks=(Task.CLASSIFICATION,),
        alert="performance",
        figure="estimated",
        source="D. Hendrycks and K. Gimpel, ICLR 2017; S. Garg et al., ICLR 2022",
    )
)
