"""The dummy every challenger must beat: what one would say without looking at the features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor

from evergreen.evaluation.metrics import compute
from evergreen.spec import Task

_MEDIAN_IS_BEST = frozenset({"mae", "mape"})


def regression_baseline(metric: str, known: pd.Series, actual: pd.Series) -> dict[str, float]:
    """Metrics on `actual` (n,) of a constant learnt from `known` (m,).

    The constant is the median for metrics of absolute error and the mean otherwise: each is the constant that
    minimises its own loss.
    """
    dummy = DummyRegressor(strategy="median" if metric in _MEDIAN_IS_BEST else "mean")
    dummy.fit(np.zeros((len(known), 1)), known)
    return compute(Task.REGRESSION, actual, dummy.predict(np.zeros((len(actual), 1))))


def classification_baseline(known: pd.Series, actual: pd.Series) -> dict[str, float]:
    """Metrics on `actual` (n,) of always the commonest class of `known` (m,), with its class shares."""
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((len(known), 1)), known)
    blank = np.zeros((len(actual), 1))
    return compute(
        Task.CLASSIFICATION,
        actual,
        dummy.predict(blank),
        probabilities=dummy.predict_proba(blank),
        classes=list(dummy.classes_),
    )


def clustering_baseline(space: NDArray[np.float64], labels: NDArray[Any], seed: int) -> dict[str, float]:
    """Metrics of the challenger's own labels (n,) dealt to the rows at random (seeded).

    The same number of clusters of the same sizes without any structure: its silhouette lies at or below 0.
    """
    dealt = np.random.default_rng(seed).permutation(labels)
    return compute(Task.CLUSTERING, None, dealt, space=space, seed=seed)
