"""The dummy every challenger must beat: what one would say without looking at the features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor

from evergreen.evaluation.predictions import Predictions
from evergreen.spec import Spec, Task

_MEDIAN_IS_BEST = frozenset({"mae", "mape"})


def dummy_predictions(
    spec: Spec, known: pd.Series, weights: NDArray[np.float64] | None, rows: int
) -> Predictions:
    """What a dummy that has learnt from the targets `known` (m,) with `weights` (m,) says of so many rows.

    Regression: the median for a training metric of absolute error and the mean otherwise, each the constant
    that minimises its own loss. Classification: always the commonest class, with the shares of the classes.
    """
    if spec.task is Task.REGRESSION:
        dummy = DummyRegressor(strategy="median" if spec.training.metric in _MEDIAN_IS_BEST else "mean")
    else:
        dummy = DummyClassifier(strategy="prior")
    dummy.fit(_blank(len(known)), known, sample_weight=weights)
    return Predictions.of(dummy, _blank(rows))


def dealt_at_random(labels: NDArray[Any], seed: int) -> Predictions:
    """The dummy of a clustering: the challenger's own labels (n,), dealt to the rows at random (seeded).

    The same number of clusters of the same sizes without any structure: its silhouette lies at or below 0.
    """
    return Predictions(np.random.default_rng(seed).permutation(labels))


def _blank(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"nothing": np.zeros(rows)})
