"""A champion's reference: what its training looked like and what it promised. Kept as `reference.json`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from evergreen.monitoring.drift import histogram
from evergreen.spec import Spec, Task

if TYPE_CHECKING:
    from evergreen.evaluation.evaluate import Evaluation
    from evergreen.training.dataset import TrainingSet


def build_reference(
    spec: Spec, training_set: TrainingSet, evaluation: Evaluation, predictions: ArrayLike | None = None
) -> dict[str, Any]:
    """The reference of a version, as plain JSON values.

    `features`: a histogram (see `evergreen.monitoring.drift`) of each over the training window.
    `predictions`: one of the predictions given, or null. `promised`: the challenger's hold-out metrics.
    `level`: the mean absolute target of the hold-out rows (regression, else null). `rows`: how many rows the
    window has.
    """
    held = training_set.holdout
    return {
        "features": {str(name): histogram(values) for name, values in training_set.features.items()},
        "predictions": None if predictions is None else histogram(as_series(spec, predictions)),
        "promised": {name: finite(value) for name, value in evaluation.challenger.items()},
        "level": level(spec, training_set.target[held]) if training_set.target is not None else None,
        "rows": len(training_set.rows),
    }


def as_series(spec: Spec, predictions: ArrayLike) -> pd.Series:
    """Predictions as values to count: numbers for regression, otherwise labels."""
    values = pd.Series(np.asarray(predictions))
    return values if spec.task is Task.REGRESSION else values.astype(str)


def level(spec: Spec, actual: pd.Series) -> float | None:
    """Mean absolute value of the known targets, in their unit; None if there are none, or no numbers."""
    if spec.task is not Task.REGRESSION:
        return None
    return finite(float(actual.astype(float).abs().mean()))


def finite(value: float | None) -> float | None:
    """The number, or None where it is not finite and so no JSON."""
    return float(value) if value is not None and math.isfinite(value) else None
