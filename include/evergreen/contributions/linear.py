"""What features contribute in a linear model: the coefficient times the distance from the training's mean.

These are the exact Shapley values where features are independent (Strumbelj and Kononenko 2014, "Explaining
prediction models and individual predictions with feature contributions").
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MEANS = "means_"
"""Where a fitted linear model keeps the means (d,) of the columns that it was fit on; not scikit-learn's."""

_BESIDE = frozenset({"LinearSVC", "LinearSVR", "LinearDiscriminantAnalysis"})
_NOT = frozenset({"RANSACRegressor"})  # it holds another estimator


def is_linear(kind: type[Any]) -> bool:
    """Whether a class is a linear model of scikit-learn."""
    module, name = kind.__module__, kind.__name__
    own = module.startswith("sklearn.linear_model.") and name not in _NOT
    return own or (module.startswith("sklearn.") and name in _BESIDE)


def linear_contributions(estimator: Any, matrix: Floats) -> Floats:
    """Contributions (n, outputs, d + 1) to the linear predictor for rows (n, d); the base is last."""
    coefficients = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    means = np.asarray(getattr(estimator, MEANS), dtype=np.float64)
    base = np.ravel(np.asarray(estimator.intercept_, dtype=np.float64)) + coefficients @ means
    found = np.empty((len(matrix), len(coefficients), matrix.shape[1] + 1))
    found[:, :, :-1] = (matrix - means)[:, None, :] * coefficients
    found[:, :, -1] = base
    return found
