"""A regression with conformal intervals: predictions, and bounds that hold the truth as often as promised.

Split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018) with the residuals of cross-validation
in place of those of one part (cross-conformal, as CV+ of Barber et al. 2021, but around the one final model).
Residuals are divided by a scale that depends on the prediction, so that predictions that err more have wider
intervals (normalised nonconformity scores; bins of the prediction as in Bostrom and Johansson 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from evergreen.errors import RefusedError

Floats = NDArray[np.float64]

_BINS = 10
_ROWS_OF_A_BIN = 30
_DOUBLED = 0.1  # of a level that adapts: beyond the largest score nothing tells how fast bounds should grow
_EXACT = 1e-9
_FLOOR = 0.05  # of the mean residual: where a model is exact on the rows of a bin, a score must stay finite


@dataclass(frozen=True)
class Scale:
    """The typical absolute residual by prediction: linear between the `sizes` at the `centres` (bins,)."""

    centres: Floats = field(repr=False)
    sizes: Floats = field(repr=False)

    @classmethod
    def of(cls, predicted: Floats, residuals: Floats, weights: Floats) -> Scale:
        """From n rows: weighted mean absolute residuals in bins of as many rows, by their predictions."""
        order = np.argsort(predicted, kind="stable")
        parts = np.array_split(order, max(1, min(_BINS, len(order) // _ROWS_OF_A_BIN)))
        sizes = np.array([np.average(residuals[part], weights=weights[part]) for part in parts])
        centres = np.array([np.average(predicted[part], weights=weights[part]) for part in parts])
        least = _FLOOR * float(np.average(residuals, weights=weights))
        return cls(centres, np.maximum(sizes, least) if least > 0 else np.ones(len(parts)))

    def __call__(self, predicted: Floats) -> Floats:
        """The scale (n,) of predictions (n,), more than 0."""
        found: Floats = np.interp(predicted, self.centres, self.sizes)
        return found


class ConformalRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted regression `model` with intervals of `levels`, shares from 0 to 1, the first the main one.

    `calibrate` learns from rows that the model was not fit on, or models like it.
    """

    def __init__(self, model: Any, levels: tuple[float, ...]) -> None:
        self.model = model
        self.levels = levels

    def calibrate(
        self, predicted: Floats, actual: Floats, folds: NDArray[np.intp], weights: Floats | None = None
    ) -> ConformalRegressor:
        """Learn from n rows, each `predicted` by a model that was fit on rows of other `folds`.

        A row's residual is divided by the scale of the folds before its own, so rows of the first fold only
        teach the scale. Raises `RefusedError` where a level needs more rows than there are.
        """
        weights = np.ones(len(predicted)) if weights is None else np.asarray(weights, dtype=np.float64)
        counted = weights > 0
        predicted, actual = np.asarray(predicted)[counted], np.asarray(actual)[counted]
        folds, weights = folds[counted], weights[counted]
        residuals = np.abs(actual - predicted)
        scores = np.full(len(residuals), np.nan)
        for fold in np.unique(folds)[1:]:
            before, own = folds < fold, folds == fold
            scale = Scale.of(predicted[before], residuals[before], weights[before])
            scores[own] = residuals[own] / scale(predicted[own])
        scored = ~np.isnan(scores)
        order = np.argsort(scores[scored], kind="stable")
        self.scores_ = scores[scored][order]
        self.weights_ = weights[scored][order]
        for level in self.levels:
            if not np.isfinite(self._quantile(level)):
                raise RefusedError(
                    f"intervals: {level * 100:g}% needs at least {fewest_rows(level)} rows in the folds "
                    f"after the first and there are {len(self.scores_)}: ask for a lower level, or train on "
                    "more rows"
                )
        last = Scale.of(predicted, residuals, weights)
        self.centres_, self.sizes_ = last.centres, last.sizes
        if (names := getattr(self.model, "feature_names_in_", None)) is not None:
            self.feature_names_in_ = names
        return self

    def predict(self, features: pd.DataFrame) -> NDArray[Any]:
        """The predictions (n,) of the model itself."""
        return np.asarray(self.model.predict(features))

    def predict_interval(self, features: pd.DataFrame, levels: Sequence[float] | None = None) -> Floats:
        """Lower and upper bounds (n, levels, 2) of features (n, d), by default of its own levels.

        A level that needs more rows than it was calibrated with has infinite bounds.
        """
        return self.around(self.predict(features), levels)

    def around(self, predicted: NDArray[Any], levels: Sequence[float] | None = None) -> Floats:
        """The bounds (n, levels, 2) around its own predictions (n,)."""
        predicted = np.asarray(predicted, dtype=np.float64)
        scale = Scale(self.centres_, self.sizes_)(predicted)
        reach = np.outer(scale, [self._quantile(level) for level in levels or self.levels])
        return np.stack([predicted[:, None] - reach, predicted[:, None] + reach], axis=2)

    def stretched(self, predicted: NDArray[Any], levels: Sequence[float]) -> Floats:
        """Bounds (n, levels, 2) as `around`, but never infinite: a level may be more than 1.

        Beyond the level of the largest score, each further 0.1 doubles them.
        """
        predicted = np.asarray(predicted, dtype=np.float64)
        scale = Scale(self.centres_, self.sizes_)(predicted)
        beyond = np.maximum(np.asarray(levels) - self._highest, 0.0)
        within = [self._quantile(min(level, self._highest)) for level in levels]
        reach = np.outer(scale, within * np.exp2(beyond / _DOUBLED))
        return np.stack([predicted[:, None] - reach, predicted[:, None] + reach], axis=2)

    def p_values(self, predicted: NDArray[Any], actual: Floats) -> Floats:
        """Of each row (n,), the share of scores that are at least its own, its own among them.

        The truth is within the bounds that `stretched` gives of just the levels above 1 less this. So beyond
        the largest score it is less than 0 in the end.
        """
        predicted = np.asarray(predicted, dtype=np.float64)
        scores = np.abs(actual - predicted) / Scale(self.centres_, self.sizes_)(predicted)
        below = np.append(0.0, np.cumsum(self.weights_) / self.weights_.mean())
        found = 1 - below[np.searchsorted(self.scores_, scores, side="left")] / (len(self.scores_) + 1)
        largest = max(float(self.scores_[-1]), _EXACT)
        return np.asarray(found - _DOUBLED * np.log2(np.maximum(scores / largest, 1.0)))

    @property
    def _highest(self) -> float:
        """The highest level that needs no more rows than there are."""
        return len(self.scores_) / (len(self.scores_) + 1)

    def _quantile(self, level: float) -> float:
        """The ceil((n + 1) level)-th smallest score; by weight where rows have weights.

        A new row counts as the mean of the rows, and its score may be infinite.
        """
        if not len(self.scores_):
            return np.inf
        below = np.cumsum(self.weights_) / self.weights_.mean()
        place = int(np.searchsorted(below, level * (len(below) + 1) - 1e-9))
        return float(self.scores_[place]) if place < len(below) else np.inf


def fewest_rows(level: float) -> int:
    """How many rows an interval of this level needs to be finite: the least n with (n + 1) level <= n."""
    return int(np.ceil(level / (1 - level) - 1e-9))
