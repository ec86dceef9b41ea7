"""Metrics as functions of sums over rows: resampling a million rows is then a product of small matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evergreen.metrics.rows import Rows

Floats = NDArray[np.float64]

# Scores are counted in this many bins.
BINS = 1_000


@dataclass(frozen=True)
class Sums:
    """Sums of n rows by the unit they are in, and the metric as a function of sums.

    `values` (units, k); `metric` maps sums over any choice of units, (m, k), to the metric of each (m,), NaN
    where it cannot be computed.
    """

    values: Floats = field(repr=False)
    metric: Callable[[Floats], Floats]

    def then(self, follows: Callable[[Floats], Floats]) -> Sums:
        """The same sums, and a function of their metric (m,)."""
        return Sums(self.values, lambda sums: follows(self.metric(sums)))


def by_unit(
    unit: NDArray[np.intp], units: int, *columns: Floats | None, weights: Floats | None = None
) -> Floats:
    """Sum columns (n,) over the rows of each unit: (units, columns). None counts the rows.

    With `weights` (n,) each row counts as many times.
    """
    if weights is not None:
        columns = tuple(weights if column is None else column * weights for column in columns)
    sums = [np.bincount(unit, column, minlength=units) for column in columns]
    return np.column_stack(sums).astype(np.float64)


def mean_by_unit(values: Floats, unit: NDArray[np.intp], units: int, weights: Floats | None = None) -> Sums:
    """The sums for a mean of values (n,): the number of rows, or their weights, and the sum of the values."""
    return Sums(
        by_unit(unit, units, None, values, weights=weights),
        lambda sums: divided(sums[:, 1], sums[:, 0]),
    )


def class_counts(rows: Rows, unit: NDArray[np.intp], units: int) -> tuple[Floats, Floats, Floats]:
    """How many rows of each class are found, true and predicted, by unit: (units, classes) each."""
    assert rows.actual is not None
    size, weights = units * rows.classes, rows.weights
    hit = rows.actual == rows.predicted
    true = unit * rows.classes + rows.actual
    found, actual, predicted = (
        np.bincount(cell, weight, minlength=size).reshape(units, rows.classes).astype(np.float64)
        for cell, weight in (
            (true[hit], None if weights is None else weights[hit]),
            (true, weights),
            (unit * rows.classes + rows.predicted, weights),
        )
    )
    return found, actual, predicted


def bin_counts(rows: Rows, label: int, unit: NDArray[np.intp], units: int) -> Floats:
    """How many rows are in each bin of a class's probability, by unit: (units, 2 bins).

    First the counts of other classes, then those of the class. The bins ascend with the probability.
    """
    assert rows.actual is not None
    assert rows.probabilities is not None
    true = rows.actual == label
    bins, size = binned(rows.probabilities[:, label], true)
    cell = (unit * 2 + true) * size + bins
    counts = np.bincount(cell, rows.weights, minlength=units * 2 * size).reshape(units, 2 * size)
    return counts.astype(np.float64)


def halves(sums: Floats) -> tuple[Floats, Floats]:
    """The two halves of the columns: those of others, and of the class."""
    others, true = np.split(sums, 2, axis=1)
    return others, true


def binned(scores: Floats, true: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int]:
    """The bin of each score (n,), rising with it, and how many bins there are: at most `BINS`.

    One for each different score if there are no more than that, which is exact; otherwise half the edges are
    quantiles of the scores of the true rows and half of the others, so that no bin holds more than about
    2 / `BINS` of either and an area is off by less than that (in practice by a hundredth of it).
    """
    sides = [np.sort(scores[side]) for side in (true, ~true)]
    edges = [side[np.diff(side, prepend=-np.inf) > 0] for side in sides]
    if sum(map(len, edges)) > BINS:
        shares = np.linspace(0, 1, BINS // 2 + 1)[1:-1]
        # Halfway between two rows: an edge at a row would put one side's rows at the foot of their bins.
        lower = [(shares * (len(side) - 1)).astype(int) for side in sides]
        edges = [(side[at] + side[at + 1]) / 2 for side, at in zip(sides, lower, strict=True)]
    rising = np.unique(np.concatenate(edges))
    return np.searchsorted(rising, scores, side="right"), len(rising) + 1


def divided(above: NDArray[Any], below: NDArray[Any], empty: float = np.nan) -> Floats:
    """One array divided by the other, and `empty` where the denominator is not above 0."""
    found: Floats = np.divide(above, below, out=np.full(np.shape(above), empty), where=below > 0)
    return found
