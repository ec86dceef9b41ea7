"""The signal `prediction_drift`: whether the predictions have drifted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evergreen.description import Described
from evergreen.drift import column_statistics, told
from evergreen.drift.psi import PSI
from evergreen.signals.drift import DRIFT
from evergreen.signals.record import Record
from evergreen.signals.signal import Finding, Nights, Terms, register
from evergreen.signals.single import OfSinglePartitions
from evergreen.task import Task

_MOVERS = 2  # features named in a clause


@dataclass(frozen=True, kw_only=True)
class PredictionDriftSignal(OfSinglePartitions[Described]):
    """The distribution of the predictions against that on the hold-out, by the limits of `monitoring.drift`.

    It detects at once a change that affects the model, but not whether the predictions are wrong.

    Example:
        monitoring:
          drift: {psi: 0.1}
          retrain: {on: [prediction_drift], when: 2 of 3 partitions}
    """

    def by_default(self, task: Task, late: bool, timed: bool) -> bool:
        """If there are no labels, or they come later."""
        return late or task is Task.CLUSTERING

    def holds(self, nights: Nights, record: Record) -> bool:
        """Whether the predictions drifted."""
        return bool((record.prediction_drift or {}).get("drifted"))

    def asks_when(self, terms: Terms) -> str:
        """The limits of the statistics, and how often."""
        limits = DRIFT.limits_in_words(terms.watched, column_statistics())
        return f"the predictions drift{self.often(terms)} ({limits})"

    def look(self, nights: Nights) -> Finding:
        """Whether the predictions drifted often enough."""
        found = nights.newest.prediction_drift
        if found is None:
            return Finding(False, "no reference for the predictions", {PSI.name: None})
        held = self.held(nights)
        movers = moved_most(nights.newest)
        by = f", moved most by {_in_words(movers)}" if movers else ""
        clause = f"the predictions drifted {held.words} ({held.wanted_words}{told(found)} on the newest{by})"
        figures = {PSI.name: found.get(PSI.name), **held.figures}
        return Finding(held.fires, clause, figures | ({"moved_by": movers} if movers else {}))

    def warning(self, record: Record, clause: str) -> str:
        """That they drifted, and which features moved them."""
        movers = moved_most(record)
        return "the predictions drifted" + (f", moved most by {_in_words(movers)}" if movers else "")


def moved_most(record: Record) -> dict[str, float]:
    """The features whose contributions drifted, with how far their mean moved, at most 2, the furthest first.

    It is in the unit of the model's margin, such as log-odds.
    """
    drifted = {
        name: float(found["moved"]) for name, found in record.contribution_drift.items() if found["drifted"]
    }
    furthest = sorted(drifted, key=lambda name: (-abs(drifted[name]), name))
    return {name: drifted[name] for name in furthest[:_MOVERS]}


def _in_words(movers: Mapping[str, float]) -> str:
    return " and ".join(f"{name} ({moved:+.3g})" for name, moved in movers.items())


PREDICTION_DRIFT = register(
    PredictionDriftSignal(
        name="prediction_drift",
        words="drift of the predictions",
        fires_when="the predictions drifted, in `retrain.when` of the last partitions",
        needs=("predictions",),
        alert="drift",
        figure=PSI.name,
    )
)
