"""In what unit the contributions of a model are, told by what its innermost estimator says."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from evergreen.contributions.contributions import margins
from evergreen.contributions.explainable import heart_of, transformed

_ROWS = 20
_CLOSE = 1e-4  # XGBoost computes in single precision


class Unit(StrEnum):
    """What base and contributions of a row add up to."""

    TARGET = "target"
    """The target, or its transform where the estimator has learnt that."""
    LOGARITHM = "logarithm"
    """The logarithm of the mean."""
    LOG_ODDS = "log-odds"
    """The log-odds of one of two classes."""
    PROBABILITY = "probability"
    """The probability of a class."""
    SCORE = "score"
    """A number of the model's own, such as a class's score before softmax."""


def unit_of(model: Any, features: pd.DataFrame) -> Unit:
    """The unit of a fitted model's contributions, tried on some of the features (n, d).

    Raises `SpecError` for a model that cannot be explained.
    """
    some = features.head(_ROWS)
    heart, found = heart_of(model), margins(model, some)
    columns = transformed(heart, some)
    if hasattr(heart.estimator, "predict_proba"):
        chances = np.asarray(heart.estimator.predict_proba(columns))
        if _close(found, chances):
            return Unit.PROBABILITY
        return Unit.LOG_ODDS if _close(expit(found), chances[:, 1:]) else Unit.SCORE
    if hasattr(heart.estimator, "classes_"):
        return Unit.SCORE
    said = np.asarray(heart.estimator.predict(columns), dtype=np.float64)[:, None]
    if _close(found, said):
        return Unit.TARGET
    return Unit.LOGARITHM if _close(np.exp(np.minimum(found, 700)), said) else Unit.SCORE


def _close(found: NDArray[Any], said: NDArray[Any]) -> bool:
    return found.shape == said.shape and np.allclose(found, said, rtol=_CLOSE, atol=_CLOSE * _size(said))


def _size(values: NDArray[Any]) -> float:
    return float(np.abs(values).max(initial=0.0))
