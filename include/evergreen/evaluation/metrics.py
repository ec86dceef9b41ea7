"""The metrics of each task, as scikit-learn computes them. What cannot be computed is left out or NaN."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sk

from evergreen.spec import METRICS, OF_PROBABILITIES, Task

# The silhouette needs the distance of every pair of rows: more rows than this are sampled (seeded).
_SILHOUETTE_ROWS = 5_000


@dataclass(frozen=True)
class Measured:
    """Truth and predictions of n rows in the form that metrics are computed from.

    Classes are numbers 0 .. `classes` - 1 in their sorted order, of all that truth, predictions and model
    name; `probabilities` (n, classes) hold 0 for a class that the model does not know. For clustering there
    is no truth, `predicted` are the clusters 0 .. `classes` - 1, and `space` (n, dimensions) is where
    distances are measured. `weights` (n,) count for regression and classification.
    """

    task: Task
    predicted: NDArray[Any] = field(repr=False)
    actual: NDArray[Any] | None = field(default=None, repr=False)
    classes: int = 0
    probabilities: NDArray[np.float64] | None = field(default=None, repr=False)
    space: NDArray[np.float64] | None = field(default=None, repr=False)
    weights: NDArray[np.float64] | None = field(default=None, repr=False)
    seed: int = 0

    def __len__(self) -> int:
        return len(self.predicted)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The task's metrics, without those of probabilities where the model gives none."""
        known = METRICS[self.task]
        if self.probabilities is None:
            return tuple(name for name in known if name not in OF_PROBABILITIES)
        return known

    @property
    def positives(self) -> list[int]:
        """The classes that a curve is drawn for: the second of two, or each of more that the truth holds."""
        assert self.actual is not None
        present = np.flatnonzero(np.bincount(self.actual, minlength=self.classes))
        if len(present) < 2:
            return []
        return [1] if self.classes == 2 else [int(label) for label in present]

    @cached_property
    def values(self) -> dict[str, float]:
        """Each of the metrics; NaN where it cannot be computed."""
        return {name: self.value(name) for name in self.metrics}

    def value(self, name: str) -> float:
        """One metric; NaN where it cannot be computed."""
        if name not in self.metrics or not len(self):
            return math.nan
        if self.task is Task.REGRESSION and not np.isfinite(self.predicted).all():
            return math.nan
        if name in OF_PROBABILITIES and not np.isfinite(np.asarray(self.probabilities)).all():
            return math.nan
        return float(_VALUES[name](self))


def measured(
    task: Task,
    y_true: ArrayLike | None,
    predictions: ArrayLike,
    *,
    probabilities: NDArray[np.float64] | None = None,
    classes: Sequence[Any] | None = None,
    space: NDArray[np.float64] | None = None,
    weights: ArrayLike | None = None,
    seed: int = 0,
) -> Measured:
    """Bring truth (n,) and predictions (n,) of a task into the form that metrics are computed from."""
    counted = None if weights is None else np.asarray(weights, dtype=np.float64)
    predicted = np.asarray(predictions)
    if task is Task.CLUSTERING:
        assert space is not None
        clusters, labels = pd.factorize(predicted, sort=True)
        return Measured(task, clusters, classes=len(labels), space=space, seed=seed)
    actual = np.asarray(y_true)
    if task is Task.REGRESSION:
        return Measured(task, predicted.astype(np.float64), actual.astype(np.float64), weights=counted)
    known = list(classes) if probabilities is not None and classes is not None else []
    (true, of_actual), (guessed, of_predicted) = _coded(actual), _coded(predicted)
    number = {label: n for n, label in enumerate(sorted({*known, *of_actual, *of_predicted}))}
    full = None
    if probabilities is not None and known:
        full = np.zeros((len(actual), len(number)))
        full[:, [number[label] for label in known]] = probabilities
    return Measured(
        task,
        np.array([number[label] for label in of_predicted], dtype=np.intp)[guessed],
        np.array([number[label] for label in of_actual], dtype=np.intp)[true],
        classes=len(number),
        probabilities=full,
        weights=counted,
    )


def _coded(labels: NDArray[Any]) -> tuple[NDArray[np.intp], list[Any]]:
    """Labels (n,) as positions (n,) in the list of those there are."""
    positions, found = pd.factorize(labels, use_na_sentinel=False)
    return positions, found.tolist()


def compute(
    task: Task,
    y_true: ArrayLike | None,
    predictions: ArrayLike,
    *,
    probabilities: NDArray[np.float64] | None = None,
    classes: Sequence[Any] | None = None,
    space: NDArray[np.float64] | None = None,
    weights: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """The task's metrics of `predictions` (n,) against `y_true` (n,), by name.

    regression: mae, rmse, r2 and mape (a share, not percent), in units of the target. classification:
    accuracy, and precision, recall and f1 as the unweighted mean over the classes present. Where
    `probabilities` (n, number of `classes`) are given also log_loss; brier, half the mean squared distance of
    the probabilities from the truth (Brier 1950, halved so that two classes give the usual score); roc_auc
    and pr_auc (average precision), of the second of two classes, or of more the unweighted mean of each class
    present against the rest; NaN where all rows are of one class. clustering: silhouette (Rousseeuw 1987) and
    calinski_harabasz (Calinski and Harabasz 1974) of the labels in `predictions`, with Euclidean distances in
    `space` (n, dimensions); NaN where there are fewer than two clusters, or one for each row.

    `weights` (n,) is how much each row counts, in regression and classification. No rows, or a prediction
    that is not finite, makes every metric NaN.
    """
    rows = measured(
        task,
        y_true,
        predictions,
        probabilities=probabilities,
        classes=classes,
        space=space,
        weights=weights,
        seed=seed,
    )
    return rows.values


def is_usable(metrics: Mapping[str, float] | None, name: str) -> bool:
    """Whether the metric is there and finite."""
    return metrics is not None and name in metrics and math.isfinite(metrics[name])


def log_losses(rows: Measured) -> NDArray[np.float64]:
    """Minus the logarithm of each true class's probability (n,), which counts as at least 2.2e-16.

    A class the model has never seen has probability 0: a very bad score rather than an error.
    """
    assert rows.probabilities is not None
    true = rows.probabilities[np.arange(len(rows)), rows.actual]
    lost: NDArray[np.float64] = -np.log(np.clip(true, np.finfo(np.float64).eps, 1.0))
    return lost


def brier_losses(rows: Measured) -> NDArray[np.float64]:
    """Half the squared distance of each row's probabilities from its truth (n,)."""
    assert rows.probabilities is not None
    squares = np.einsum("ij,ij->i", rows.probabilities, rows.probabilities)
    true = rows.probabilities[np.arange(len(rows)), rows.actual]
    lost: NDArray[np.float64] = (squares - 2 * true + 1) / 2
    return lost


def silhouettes(rows: Measured) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Positions (m,) of all rows or a seeded sample, and the silhouette of each; none without clusters."""
    assert rows.space is not None
    drawn = np.arange(len(rows))
    if len(rows) > _SILHOUETTE_ROWS:
        drawn = np.random.default_rng(rows.seed).choice(len(rows), _SILHOUETTE_ROWS, replace=False)
    labels = rows.predicted[drawn]
    if not 2 <= len(np.unique(labels)) < len(labels):
        return drawn[:0], np.empty(0)
    return drawn, np.asarray(sk.silhouette_samples(rows.space[drawn], labels), dtype=np.float64)


def _r2(rows: Measured) -> float:
    if len(rows) < 2:
        return math.nan
    return float(sk.r2_score(rows.actual, rows.predicted, sample_weight=rows.weights))


def _macro(name: str) -> Callable[[Measured], float]:
    def value(rows: Measured) -> float:
        scorer = getattr(sk, name)
        return float(
            scorer(
                rows.actual, rows.predicted, average="macro", zero_division=0.0, sample_weight=rows.weights
            )
        )

    return value


def _of_curves(area: Callable[..., Any]) -> Callable[[Measured], float]:
    def value(rows: Measured) -> float:
        assert rows.probabilities is not None
        found = [
            float(area(rows.actual == label, rows.probabilities[:, label], sample_weight=rows.weights))
            for label in rows.positives
        ]
        return math.fsum(found) / len(found) if found else math.nan

    return value


def _silhouette(rows: Measured) -> float:
    values = silhouettes(rows)[1]
    return float(values.mean()) if len(values) else math.nan


def _calinski_harabasz(rows: Measured) -> float:
    if not 2 <= rows.classes < len(rows):
        return math.nan
    return float(sk.calinski_harabasz_score(rows.space, rows.predicted))


_VALUES: dict[str, Callable[[Measured], Any]] = {
    "mae": lambda rows: sk.mean_absolute_error(rows.actual, rows.predicted, sample_weight=rows.weights),
    "rmse": lambda rows: sk.root_mean_squared_error(rows.actual, rows.predicted, sample_weight=rows.weights),
    "mape": lambda rows: sk.mean_absolute_percentage_error(
        rows.actual, rows.predicted, sample_weight=rows.weights
    ),
    "r2": _r2,
    "accuracy": lambda rows: sk.accuracy_score(rows.actual, rows.predicted, sample_weight=rows.weights),
    "precision": _macro("precision_score"),
    "recall": _macro("recall_score"),
    "f1": _macro("f1_score"),
    "roc_auc": _of_curves(sk.roc_auc_score),
    "pr_auc": _of_curves(sk.average_precision_score),
    "log_loss": lambda rows: np.average(log_losses(rows), weights=rows.weights),
    "brier": lambda rows: np.average(brier_losses(rows), weights=rows.weights),
    "silhouette": _silhouette,
    "calinski_harabasz": _calinski_harabasz,
}
