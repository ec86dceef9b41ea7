"""Whether predicted probabilities are what happens: expected calibration error in bins of equal mass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evergreen.metrics.classes import ordered_classes
from evergreen.metrics.predictions import Predictions

_BINS = 15
_ROWS_A_BIN = 50


@dataclass(frozen=True)
class Bin:
    """Rows of like probability: the mean that was `predicted`, the share `observed`, and their `weight`."""

    predicted: float
    observed: float
    rows: int
    weight: float


def calibration_error(
    actual: ArrayLike,
    predictions: Predictions,
    weights: NDArray[np.float64] | None = None,
    positive: Any = None,
) -> float:
    """The expected calibration error, from 0 to 1: the mean distance of predicted from observed shares.

    Naeini, Cooper and Hauskrecht 2015, in bins of equal mass (Nguyen and O'Connor 2015), with the rows'
    weights (n,); `positive` is the class that the description calls so. NaN without probabilities, without
    rows, or with one that is not finite.
    """
    bins = reliability(actual, predictions, weights, positive)
    total = sum(group.weight for group in bins)
    if not total > 0:
        return math.nan
    return sum(group.weight * abs(group.predicted - group.observed) for group in bins) / total


def reliability(
    actual: ArrayLike,
    predictions: Predictions,
    weights: NDArray[np.float64] | None = None,
    positive: Any = None,
) -> tuple[Bin, ...]:
    """Predicted against observed shares, from the lowest probability to the highest; none if there are none.

    With two classes the probability of the positive one is used, with more that of the most likely class (Guo
    et al. 2017). There are up to 15 bins of about as many rows, at least 50 each: with fewer, a perfect model
    would seem badly calibrated by chance. Rows of equal probability are in the same bin.
    """
    probabilities = predictions.probabilities
    if probabilities is None or not len(probabilities) or not np.isfinite(probabilities).all():
        return ()
    chance, happened = _chances(np.asarray(actual), probabilities, predictions.classes, positive)
    weights = np.ones(len(chance)) if weights is None else np.asarray(weights, dtype=float)
    wanted = min(_BINS, max(1, len(chance) // _ROWS_A_BIN))
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, wanted + 1)[1:-1]))
    place = np.searchsorted(edges, chance, side="left")
    sums = [np.bincount(place, by, wanted) for by in (weights * chance, weights * happened, weights)]
    rows = np.bincount(place, minlength=wanted)
    return tuple(
        Bin(float(predicted / weight), float(observed / weight), int(count), float(weight))
        for predicted, observed, weight, count in zip(*sums, rows, strict=True)
        if weight > 0
    )


def _chances(
    actual: NDArray[Any], probabilities: NDArray[np.float64], classes: tuple[Any, ...], positive: Any
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    named = np.asarray(classes)
    if len(named) == 2:
        place = classes.index(ordered_classes(classes, positive)[1])
        return probabilities[:, place], np.asarray(actual == named[place])
    likeliest = probabilities.argmax(axis=1)
    return probabilities.max(axis=1), np.asarray(actual == named[likeliest])
