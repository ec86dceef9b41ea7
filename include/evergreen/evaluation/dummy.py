"""The dummy every challenger must beat: what one would say without looking at the features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor

from evergreen.metrics import Metric
from evergreen.metrics.predictions import Predictions
from evergreen.spec import Task

# How many predictions by chance are made, and how many rows of them at most: on many rows one tells enough.
_DRAWS = 20
_ROWS_DRAWN = 200_000
_LEAST = np.finfo(np.float64).eps  # of a target that a relative error is divided by, as scikit-learn has it


def dummy_predictions(
    metric: Metric, known: pd.Series, weights: NDArray[np.float64] | None, rows: int
) -> Predictions:
    """The predictions of a dummy for `rows` rows, learnt from the targets `known` (m,) and `weights` (m,).

    Regression: the constant that the metric says is best for it (`Metric.best_constant`).
    Classification: always the commonest class, with the shares of the classes.
    """
    if metric.task is Task.REGRESSION:
        dummy = _constant(metric.best_constant)
        if metric.best_constant == "relative median":
            # The sum of |y - c| / |y| is least at the median of y weighted by 1 / |y|.
            weights = (1.0 if weights is None else weights) / np.maximum(np.abs(known.to_numpy()), _LEAST)
    else:
        dummy = DummyClassifier(strategy="prior")
    dummy.fit(_blank(len(known)), known, sample_weight=weights)
    return Predictions.of(dummy, _blank(rows))


def by_chance(
    metric: Metric, known: pd.Series, weights: NDArray[np.float64] | None, own: Predictions, seed: int
) -> tuple[Predictions, ...]:
    """What a metric is by chance on the rows of `own` (n,): predictions of which the mean value counts.

    The best that can be said without looking at the features. For most metrics that is the dummy's constant.
    A mean over classes (macro F1, precision, recall) gives a constant nothing for the classes it never names,
    so that labels thrown at random beat it. Its best is a label drawn by the share p of each class: with
    predictions that do not depend on the truth and name a class with the share q, a class's F1 is
    2 p q / (p + q), and the sum over the classes is largest for q = p, by Lagrange's multiplier. The area
    under the precision-recall curve of a random order is above the share of the class on few rows, so it is
    held against the challenger's own probabilities in random order (Ojala and Garriga 2010, "Permutation
    tests for studying classifier performance", Journal of Machine Learning Research 11).
    """
    if metric.chance == "constant" or (metric.chance == "shuffled" and own.probabilities is None):
        return (dummy_predictions(metric, known, weights, len(own)),)
    random = np.random.default_rng([seed, 2])
    draws = max(1, min(_DRAWS, _ROWS_DRAWN // max(len(own), 1)))
    if metric.chance == "shuffled":
        return tuple(own.taken(random.permutation(len(own))) for _ in range(draws))
    classes, place = np.unique(known.to_numpy(), return_inverse=True)
    shares = np.bincount(place, weights)
    shares = shares / shares.sum()
    return tuple(Predictions(random.choice(classes, len(own), p=shares)) for _ in range(draws))


def dealt_at_random(labels: NDArray[Any], seed: int) -> Predictions:
    """The dummy of a clustering: the challenger's own labels (n,) in random order (seeded).

    It has as many clusters of the same sizes but no structure: its silhouette is about 0 or below.
    """
    return Predictions(np.random.default_rng(seed).permutation(labels))


def _constant(best: str | float) -> DummyRegressor:
    if isinstance(best, str):
        return DummyRegressor(strategy="mean" if best == "mean" else "median")
    return DummyRegressor(strategy="quantile", quantile=best)


def _blank(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"nothing": np.zeros(rows)})
