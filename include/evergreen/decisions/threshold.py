"""The threshold of a probability from which a row is predicted to be of the positive class. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evergreen.json_values import json_values
from evergreen.metrics import Costs, Metric
from evergreen.metrics.measured import measured
from evergreen.task import Task

Floats = NDArray[np.float64]

POINTS = 200
"""How many thresholds are tried at most: the middles between quantiles of the probabilities."""


@dataclass(frozen=True)
class Curve:
    """The `values` (m,) of a `metric` that the `thresholds` (m,) would have given, and which is `best`."""

    metric: str
    thresholds: Floats = field(repr=False)
    values: Floats = field(repr=False)
    best: int

    @property
    def threshold(self) -> float:
        """The best threshold."""
        return float(self.thresholds[self.best])

    def to_dict(self) -> dict[str, Any]:
        """The curve as JSON values; a value that is not finite is null."""
        content: dict[str, Any] = json_values(
            {**vars(self), "thresholds": self.thresholds.tolist(), "values": self.values.tolist()}
        )
        return content


def curve_of(
    chance: Floats,
    positive: NDArray[np.bool_],
    metric: Metric,
    *,
    costs: Costs | None = None,
    weights: Floats | None = None,
) -> Curve:
    """A metric of labels over the threshold, of n rows that were not fit on.

    `chance` (n,) is the probability of the positive class, `positive` (n,) whether a row is of it, and
    `weights` (n,) how much it counts. `costs` are for the metric that needs them. Of equally good thresholds
    the best is the middle of the first longest run.
    """
    thresholds = _thresholds(chance)
    place, true, counted = _alike(np.searchsorted(thresholds, chance, side="right"), positive, weights)

    def value(number: int) -> float:
        said = place > number
        return measured(Task.CLASSIFICATION, true, said, weights=counted, costs=costs).value(metric.name)

    values = np.array([value(number) for number in range(len(thresholds))])
    losses = np.array([metric.loss(one) for one in values])
    return Curve(metric.name, thresholds, values, _middle_of_best(np.nan_to_num(-losses, nan=-np.inf)))


def _alike(
    place: NDArray[np.intp], positive: NDArray[np.bool_], weights: Floats | None
) -> tuple[NDArray[np.intp], NDArray[np.bool_], Floats]:
    """Rows (n,) that no threshold tells apart as one that weighs as much: its place, its truth, its weight.

    `place` is how many thresholds a row's probability reaches.
    """
    cells, cell = np.unique(2 * place + positive, return_inverse=True)
    return cells // 2, cells % 2 == 1, np.bincount(cell, weights).astype(np.float64)


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
