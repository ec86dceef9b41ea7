"""Metrics as functions of sums over rows: resampling a million rows is then a product of small matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evergreen.evaluation.metrics import Measured, brier_losses, log_losses, silhouettes

Floats = NDArray[np.float64]

# Scores are counted in this many bins; the most sums of a unit that are kept (clusters by dimensions).
BINS = 1_000
_MOST_SUMS = 4_096


@dataclass(frozen=True)
class Sums:
    """Sums of n rows by the unit they are in, and the metric as a function of sums.

    `values` (units, k); `metric` maps sums over any choice of units, (m, k), to the metric of each (m,), NaN
    where it cannot be computed.
    """

    values: Floats = field(repr=False)
    metric: Callable[[Floats], Floats]


def sums_of(rows: Measured, name: str, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
    """The sums a metric is made of, one `Sums` after the other: the metric is the mean of their metrics.

    `unit` (n,) is the number of each row's unit, 0 .. `units` - 1. All are exact but roc_auc and pr_auc where
    a model gives more different scores than there are `BINS`. Nothing where the metric cannot be computed.
    """
    yield from _SUMS[name](rows, unit, units)


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


def _mean(values: Callable[[Measured], Floats]) -> Callable[..., Iterator[Sums]]:
    def sums(rows: Measured, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
        yield Sums(by_unit(unit, units, None, values(rows), weights=rows.weights), _ratio)

    return sums


def _ratio(sums: Floats) -> Floats:
    return _divided(sums[:, 1], sums[:, 0])


def _rmse(rows: Measured, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
    squares = by_unit(unit, units, None, _errors(rows) ** 2, weights=rows.weights)
    yield Sums(squares, lambda sums: np.sqrt(_ratio(sums)))


def _r2(rows: Measured, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
    assert rows.actual is not None
    centred = rows.actual - rows.actual.mean()  # squares of large numbers would lose their digits

    def metric(sums: Floats) -> Floats:
        rows, total, squares, errors = sums.T
        return 1 - _divided(errors, squares - _divided(total**2, rows))

    columns = (None, centred, centred**2, _errors(rows) ** 2)
    yield Sums(by_unit(unit, units, *columns, weights=rows.weights), metric)


def _relative_errors(rows: Measured) -> Floats:
    assert rows.actual is not None
    relative: Floats = np.abs(_errors(rows)) / np.maximum(np.abs(rows.actual), np.finfo(np.float64).eps)
    return relative


def _errors(rows: Measured) -> Floats:
    errors: Floats = rows.predicted - rows.actual
    return errors


def _by_class(metric: Callable[[Floats, Floats, Floats], Floats]) -> Callable[..., Iterator[Sums]]:
    """A metric of each class's rows found, rows true and rows predicted; the mean of the classes present."""

    def sums(rows: Measured, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
        assert rows.actual is not None
        size = units * rows.classes
        hit = rows.actual == rows.predicted
        true = unit * rows.classes + rows.actual
        weights = rows.weights
        counts = (
            np.bincount(true[hit], None if weights is None else weights[hit], minlength=size),
            np.bincount(true, weights, minlength=size),
            np.bincount(unit * rows.classes + rows.predicted, weights, minlength=size),
        )
        values = np.concatenate([count.reshape(units, rows.classes) for count in counts], axis=1)
        yield Sums(values.astype(np.float64), lambda total: _macro(metric, total))

    return sums


def _macro(metric: Callable[[Floats, Floats, Floats], Floats], sums: Floats) -> Floats:
    hit, true, predicted = np.split(sums, 3, axis=1)
    present = true + predicted > 0
    return _divided((metric(hit, true, predicted) * present).sum(axis=1), present.sum(axis=1))


def _curves(area: Callable[[Floats, Floats], Floats]) -> Callable[..., Iterator[Sums]]:
    """The area of each class's curve, from counts of the class and of the rest by bins of its score."""

    def sums(rows: Measured, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
        assert rows.actual is not None
        assert rows.probabilities is not None
        for label in rows.positives:
            true = rows.actual == label
            bins, size = binned(rows.probabilities[:, label], true)
            # Each unit's counts stand side by side: first those of the rest, then those of the class.
            cell = (unit * 2 + true) * size + bins
            values = np.bincount(cell, rows.weights, minlength=units * 2 * size).reshape(units, 2 * size)
            yield Sums(values.astype(np.float64), lambda total: area(*np.split(total, 2, axis=1)))

    return sums


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


def _roc_area(others: Floats, true: Floats) -> Floats:
    below = np.cumsum(others, axis=1) - others / 2
    pairs = true.sum(axis=1) * others.sum(axis=1)
    return _divided(np.einsum("ij,ij->i", true, below), pairs)


def _precision_area(others: Floats, true: Floats) -> Floats:
    found = np.cumsum(true[:, ::-1], axis=1)
    taken = found + np.cumsum(others[:, ::-1], axis=1)
    precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
    return _divided(np.einsum("ij,ij->i", true[:, ::-1], precision), found[:, -1])


def _silhouette(rows: Measured, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
    drawn, values = silhouettes(rows)
    if len(drawn):
        yield Sums(by_unit(unit[drawn], units, None, values), _ratio)


def _calinski_harabasz(rows: Measured, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
    """Rows, sums of each dimension and of the squared length, by cluster."""
    assert rows.space is not None
    clusters, dimensions = rows.classes, rows.space.shape[1]
    if not 2 <= clusters < len(rows) or clusters * (dimensions + 1) > _MOST_SUMS:
        return
    space = rows.space - rows.space.mean(axis=0)
    cell = unit * clusters + rows.predicted
    squares = by_unit(unit, units, np.einsum("ij,ij->i", space, space))
    parts = by_unit(cell, units * clusters, None, *space.T).reshape(units, -1)

    def metric(sums: Floats) -> Floats:
        by_cluster = sums[:, 1:].reshape(len(sums), clusters, 1 + dimensions)
        counts, totals = by_cluster[:, :, 0], by_cluster[:, :, 1:]
        of_all = (totals.sum(axis=1) ** 2).sum(axis=1) / counts.sum(axis=1)
        of_clusters = _divided((totals**2).sum(axis=2), counts, empty=0.0).sum(axis=1)
        found, number = (counts > 0).sum(axis=1), counts.sum(axis=1)
        between = _divided(of_clusters - of_all, found - 1)
        return _divided(between, _divided(sums[:, 0] - of_clusters, number - found))

    yield Sums(np.concatenate([squares, parts], axis=1), metric)


def _divided(above: NDArray[Any], below: NDArray[Any], empty: float = np.nan) -> Floats:
    found: Floats = np.divide(above, below, out=np.full(np.shape(above), empty), where=below > 0)
    return found


_SUMS: dict[str, Callable[[Measured, NDArray[np.intp], int], Iterator[Sums]]] = {
    "mae": _mean(lambda rows: np.abs(_errors(rows))),
    "rmse": _rmse,
    "mape": _mean(_relative_errors),
    "r2": _r2,
    "accuracy": _mean(lambda rows: np.equal(np.asarray(rows.actual), rows.predicted).astype(np.float64)),
    "precision": _by_class(lambda hit, true, predicted: _divided(hit, predicted, empty=0.0)),
    "recall": _by_class(lambda hit, true, predicted: _divided(hit, true, empty=0.0)),
    "f1": _by_class(lambda hit, true, predicted: _divided(2 * hit, true + predicted, empty=0.0)),
    "roc_auc": _curves(_roc_area),
    "pr_auc": _curves(_precision_area),
    "log_loss": _mean(log_losses),
    "brier": _mean(brier_losses),
    "silhouette": _silhouette,
    "calinski_harabasz": _calinski_harabasz,
}
