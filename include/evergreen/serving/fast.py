"""A version's model as a server uses it: with a short way for few rows, if its answers are the very same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.contributions.explainable import heart_of, with_heart
from evergreen.metrics.predictions import Predictions
from evergreen.scoring.checked_model import CheckedModel
from evergreen.scoring.golden import Golden
from evergreen.serving.few import FEW, why_long, with_short_way


@dataclass(frozen=True)
class Fast:
    """The `model` to predict with, and `way`, for people: which way it goes, and why."""

    model: Any = field(repr=False)
    way: str


def fast_version(checked: CheckedModel) -> Fast:
    """`fast_model` of a stored version, by its own golden sample."""
    pipeline = checked.pipeline
    golden = Golden.of(pipeline.name, pipeline.registry, checked.version)
    return fast_model(checked.estimator, golden.features(pipeline.spec))


def fast_model(model: Any, golden: pd.DataFrame) -> Fast:
    """A fitted model with a short way for at most 32 rows, if it says of the golden features (n, d) the same.

    The same is every label, probability, bound and set, bit for bit; otherwise the model itself is used.
    """
    if why := why_long(heart_of(model).estimator):
        return Fast(model, f"scikit-learn's own: {why}")
    short = with_heart(model, with_short_way)
    for first in range(0, len(golden), FEW):
        few = golden.iloc[first : first + FEW]
        if difference := _difference(Predictions.of(model, few), Predictions.of(short, few)):
            return Fast(model, f"scikit-learn's own: joined trees give other golden {difference}")
    return Fast(short, f"joined trees for up to {FEW} rows, scikit-learn's own for more")


def _difference(one: Predictions, other: Predictions) -> str | None:
    pairs = {
        "predictions": (one.labels, other.labels),
        "probabilities": (one.probabilities, other.probabilities),
        "bounds": (one.bounds, other.bounds),
        "sets": (one.sets, other.sets),
    }
    return next((name for name, (a, b) in pairs.items() if not _same(a, b)), None)


def _same(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return one.tobytes() == other.tobytes() if one.dtype != object else bool(np.array_equal(one, other))
