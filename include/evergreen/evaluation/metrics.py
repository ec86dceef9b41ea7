"""The metrics of each task, as scikit-learn computes them. What cannot be computed is left out or NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sk

from evergreen.spec import Task

# The silhouette needs the distance of every pair of rows: more rows than this are sampled (seeded).
_SILHOUETTE_ROWS = 5_000


def compute(
    task: Task,
    y_true: ArrayLike | None,
    predictions: ArrayLike,
    *,
    probabilities: NDArray[np.float64] | None = None,
    classes: Sequence[Any] | None = None,
    space: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """The task's metrics of `predictions` (n,) against `y_true` (n,), by name.

    regression: mae, rmse, r2 and mape (a share, not percent), in units of the target. classification:
    accuracy, and precision, recall and f1 as the unweighted mean over the classes present; log_loss where
    `probabilities` (n, number of `classes`) are given. clustering: silhouette (Rousseeuw 1987) and
    calinski_harabasz (Calinski and Harabasz 1974) of the labels in `predictions`, with Euclidean distances in
    `space` (n, dimensions); NaN where there are fewer than two clusters, or one for each row.

    No rows, or a prediction that is not finite, makes every metric NaN.
    """
    predicted = np.asarray(predictions)
    if task is Task.CLUSTERING:
        assert space is not None
        return _clustering(space, predicted, seed)
    actual = np.asarray(y_true)
    if task is Task.REGRESSION:
        return _regression(actual, predicted)
    return _classification(actual, predicted, probabilities, classes)


def is_usable(metrics: Mapping[str, float] | None, name: str) -> bool:
    """Whether the metric is there and finite."""
    return metrics is not None and name in metrics and math.isfinite(metrics[name])


def _regression(actual: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    if not len(actual) or not np.isfinite(predicted.astype(float)).all():
        return dict.fromkeys(("mae", "rmse", "r2", "mape"), math.nan)
    return {
        "mae": float(sk.mean_absolute_error(actual, predicted)),
        "rmse": float(sk.root_mean_squared_error(actual, predicted)),
        "r2": float(sk.r2_score(actual, predicted)) if len(actual) > 1 else math.nan,
        "mape": float(sk.mean_absolute_percentage_error(actual, predicted)),
    }


def _classification(
    actual: NDArray[Any],
    predicted: NDArray[Any],
    probabilities: NDArray[np.float64] | None,
    classes: Sequence[Any] | None,
) -> dict[str, float]:
    if not len(actual):
        return dict.fromkeys(("accuracy", "precision", "recall", "f1"), math.nan)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        actual, predicted, average="macro", zero_division=0.0
    )
    found = {
        "accuracy": float(sk.accuracy_score(actual, predicted)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
    }
    if probabilities is not None and classes is not None:
        found["log_loss"] = _log_loss(actual, probabilities, list(classes))
    return found


def _log_loss(actual: NDArray[Any], probabilities: NDArray[np.float64], classes: list[Any]) -> float:
    if not np.isfinite(probabilities).all():
        return math.nan
    # A class the model has never seen gets probability 0: a very bad score rather than an error.
    labels = sorted({*classes, *actual.tolist()})
    full = np.zeros((len(actual), len(labels)))
    full[:, [labels.index(label) for label in classes]] = probabilities
    return float(sk.log_loss(actual, full, labels=labels)) if len(labels) > 1 else 0.0


def _clustering(space: NDArray[np.float64], labels: NDArray[Any], seed: int) -> dict[str, float]:
    if not 2 <= len(np.unique(labels)) < len(labels):
        return {"silhouette": math.nan, "calinski_harabasz": math.nan}
    return {
        "silhouette": _silhouette(space, labels, seed),
        "calinski_harabasz": float(sk.calinski_harabasz_score(space, labels)),
    }


def _silhouette(space: NDArray[np.float64], labels: NDArray[Any], seed: int) -> float:
    if len(labels) > _SILHOUETTE_ROWS:
        drawn = np.random.default_rng(seed).choice(len(labels), _SILHOUETTE_ROWS, replace=False)
        space, labels = space[drawn], labels[drawn]
        if len(np.unique(labels)) < 2:
            return math.nan
    return float(sk.silhouette_score(space, labels))
