"""The threshold of a probability from which a row is predicted to be of the positive class. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evergreen.metrics import Metric
from evergreen.metrics.measured import measured
from evergreen.spec.decision import Costs
from evergreen.task import Task

Floats = NDArray[np.float64]

POINTS = 200
"""How many thresholds are tried at most: the middles between quantiles of the probabilities."""


@dataclass(frozen=True)
class Curve:
    """The `values` (m,) that the `thresholds` (m,) would have given, and which is `best`."""

    thresholds: Floats = field(repr=False)
    values: Floats = field(repr=False)
    best: int

    @property
    def threshold(self) -> float:
        """The best threshold."""
        return float(self.thresholds[self.best])


def cost_of(
    costs: Costs, positive: NDArray[np.bool_], predicted: NDArray[np.bool_], weights: Floats
) -> float:
    """The mean cost of a row, of the truth (n,) and what is predicted (n,)."""
    missed, alarmed = positive & ~predicted, ~positive & predicted
    each = costs.false_negative * missed + costs.false_positive * alarmed
    return float(np.average(each, weights=weights))


def by_costs(
    chance: Floats, positive: NDArray[np.bool_], costs: Costs, weights: Floats | None = None
) -> Curve:
    """The threshold with the lowest mean cost of n rows that were not fit on.

    `chance` (n,) is the probability of the positive class and `positive` (n,) whether a row is of it.
    """
    counted = np.ones(len(chance)) if weights is None else weights
    return _curve(chance, lambda predicted: -cost_of(costs, positive, predicted, counted), -1.0)


def by_metric(
    chance: Floats, positive: NDArray[np.bool_], metric: Metric, weights: Floats | None = None
) -> Curve:
    """The threshold with the best value of a metric of labels, of n rows that were not fit on.

    The arguments are those of `by_costs`.
    """
    sign = 1.0 if metric.higher_is_better else -1.0

    def value(predicted: NDArray[np.bool_]) -> float:
        return sign * measured(Task.CLASSIFICATION, positive, predicted, weights=weights).value(metric.name)

    return _curve(chance, value, sign)


def _curve(chance: Floats, score: Callable[[NDArray[np.bool_]], float], sign: float) -> Curve:
    """The threshold of the highest score, of equal ones the middle of the first longest run."""
    thresholds = _thresholds(chance)
    scores = np.array([score(chance >= threshold) for threshold in thresholds])
    return Curve(thresholds, sign * scores, _middle_of_best(np.nan_to_num(scores, nan=-np.inf)))


def _thresholds(chance: Floats) -> Floats:
    known = np.unique(chance)
    if len(known) > POINTS:
        known = np.unique(np.quantile(chance, np.linspace(0, 1, POINTS)))
    middles = (known[1:] + known[:-1]) / 2
    return np.concatenate([[known[0] / 2], middles, [(1 + known[-1]) / 2]])


def _middle_of_best(scores: Floats) -> int:
    best = np.flatnonzero(np.isclose(scores, scores.max(), rtol=1e-12, atol=1e-12))
    runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    run = max(runs, key=len)
    return int(run[len(run) // 2])
