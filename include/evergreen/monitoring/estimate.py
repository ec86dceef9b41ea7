"""Performance without labels: what a calibrated classifier's own confidence says of it.

If of the rows given the probability 0.8 four in five are of that class, then the probabilities say how many
predictions are right, and of which kind the wrong ones are. That is the average confidence of Hendrycks and
Gimpel (2017), which Garg et al. (2022) compare with others, and, for whole confusion matrices and curves, the
confidence-based performance estimation of NannyML's documentation. It sees that rows have become harder to
tell apart; it cannot see that the truth has changed (concept drift), nor does it hold for a model whose
probabilities are not calibrated. It is an estimate and is to be called one.

Metrics that are means over rows get their exact expectation; the others the ratio of expected counts, which
is the expectation but for a part that vanishes as 1 / rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evergreen.json_values import finite_or_none
from evergreen.spec import Spec, Task

Floats = NDArray[np.float64]


def estimated(
    spec: Spec,
    metric: str,
    probabilities: ArrayLike,
    classes: Sequence[Any],
    predicted: ArrayLike | None = None,
) -> float | None:
    """The value of a metric that is to be expected of rows if their truth is as probable as the model says.

    `probabilities` (n, k) are those of the k `classes`; `predicted` (n,) the predictions as published, by
    default the likeliest class. The metrics are those of `evergreen.evaluation.metrics.compute`: accuracy,
    precision, recall, f1, roc_auc, pr_auc, log_loss and brier. None for other metrics and tasks, without
    rows, with a probability that is not finite, or where no row may be of another class.
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    if spec.task is not Task.CLASSIFICATION or metric not in _VALUES:
        return None
    if not len(chances) or not np.isfinite(chances).all():
        return None
    taken = chances.argmax(axis=1)
    if predicted is not None:
        taken = pd.Index(list(classes)).get_indexer(pd.Index(np.asarray(predicted).tolist()))
        if (taken < 0).any():
            return None  # a class without a probability
    in_order = np.asarray(sorted(range(len(classes)), key=lambda n: classes[n]), dtype=np.intp)
    place_of = np.argsort(in_order)
    return finite_or_none(_VALUES[metric](_Chances(chances[:, in_order], place_of[taken])))


@dataclass(frozen=True)
class _Chances:
    """Probabilities (n, k) of the classes in sorted order, and the number of each predicted one (n,)."""

    of: Floats = field(repr=False)
    predicted: NDArray[np.intp] = field(repr=False)

    @property
    def right(self) -> Floats:
        """How probably each prediction is right (n,)."""
        chosen: Floats = self.of[np.arange(len(self.of)), self.predicted]
        return chosen

    @property
    def hit(self) -> Floats:
        """The diagonal of the expected confusion matrix (k,)."""
        return np.bincount(self.predicted, self.right, minlength=self.of.shape[1]).astype(np.float64)

    @property
    def taken(self) -> Floats:
        """How many rows are predicted to be of each class (k,)."""
        return np.bincount(self.predicted, minlength=self.of.shape[1]).astype(np.float64)

    @property
    def true(self) -> Floats:
        """How many rows are expected to be of each class (k,)."""
        expected: Floats = self.of.sum(axis=0)
        return expected

    @property
    def present(self) -> Floats:
        """How probably at least one row is of each class (k,)."""
        probable: Floats = 1 - np.prod(1 - self.of, axis=0)
        return probable


def _macro(above: Callable[[_Chances], Floats], below: Callable[[_Chances], Floats]) -> Callable[..., float]:
    """The mean of a ratio over the classes that are predicted or true, by how probable that is."""

    def value(rows: _Chances) -> float:
        weights = np.where(rows.taken > 0, 1.0, rows.present)
        ratios = _divided(above(rows), below(rows))
        return float(weights @ ratios / weights.sum())

    return value


def _of_curves(area: Callable[[Floats], float]) -> Callable[[_Chances], float]:
    """The area of the second of two classes, or of more the mean of each against the rest, if present."""

    def value(rows: _Chances) -> float:
        classes = rows.of.shape[1]
        if classes < 2:
            return math.nan
        if classes == 2:
            return area(rows.of[:, 1])
        areas = np.array([area(rows.of[:, label]) for label in range(classes)])
        weights = np.where(np.isfinite(areas), rows.present, 0.0)
        total = float(weights.sum())
        return float(weights @ np.nan_to_num(areas)) / total if total > 0 else math.nan

    return value


def _roc_area(chance: Floats) -> float:
    """Expected pairs of two rows in the right order over all pairs, one of the class and one of the rest.

    `chance` (n,) is both the score and the probability. A row makes no pair with itself.
    """
    _, group = np.unique(chance, return_inverse=True)
    true, rest = np.bincount(group, chance), np.bincount(group, 1 - chance)
    itself = float((chance * (1 - chance)).sum())
    pairs = float(true.sum() * rest.sum()) - itself
    right = float(true @ (np.cumsum(rest) - rest / 2)) - itself / 2
    return right / pairs if _is_count(pairs, len(chance)) else math.nan


def _precision_area(chance: Floats) -> float:
    """The expected average precision: for a row of the class, the share of those down to it that are too.

    The row itself is of the class then, the others as they are probable.
    """
    _, group = np.unique(-chance, return_inverse=True)
    found, taken = np.cumsum(np.bincount(group, chance)), np.cumsum(np.bincount(group))
    precision = (found[group] - chance + 1) / taken[group]
    total = float(chance.sum())
    may_differ = _is_count(total, len(chance)) and _is_count(len(chance) - total, len(chance))
    return float(chance @ precision) / total if may_differ else math.nan


def _is_count(expected: float, rows: int) -> bool:
    """Whether an expected count over rows is more than what rounding leaves of none."""
    return bool(expected > rows * np.finfo(np.float64).eps * 8)


def _log_loss(rows: _Chances) -> float:
    logs = np.log(np.clip(rows.of, np.finfo(np.float64).eps, 1.0))
    return -float((rows.of * logs).sum(axis=1).mean())


def _divided(above: Floats, below: Floats) -> Floats:
    found: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return found


_VALUES: dict[str, Callable[[_Chances], float]] = {
    "accuracy": lambda rows: float(rows.right.mean()),
    "precision": _macro(lambda rows: rows.hit, lambda rows: rows.taken),
    "recall": _macro(lambda rows: rows.hit, lambda rows: rows.true),
    "f1": _macro(lambda rows: 2 * rows.hit, lambda rows: rows.true + rows.taken),
    "roc_auc": _of_curves(_roc_area),
    "pr_auc": _of_curves(_precision_area),
    "log_loss": _log_loss,
    # The distance (sum p^2 - 2 p + 1) / 2 of a truth with probability p, summed over the truths.
    "brier": lambda rows: float((1 - (rows.of**2).sum(axis=1)).mean() / 2),
}
