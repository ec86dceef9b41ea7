"""Rows that a model is fit on or scored on: features, target and weights, aligned by position."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from evergreen.training_set.assemble import TrainingSet


@dataclass(frozen=True)
class Sample:
    """`features` (n, d), `target` (n,) or None for clustering, `weights` (n,) or None where all are equal."""

    features: pd.DataFrame = field(repr=False)
    target: pd.Series | None = field(repr=False)
    weights: NDArray[np.float64] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, training_set: TrainingSet, rows: NDArray[np.bool_] | None = None) -> Sample:
        """The rows of a training set that the mask (n,) names, all of them without one."""
        whole = cls(training_set.features, training_set.target, training_set.weights)
        return whole if rows is None else whole.taken(np.flatnonzero(rows))

    def taken(self, positions: NDArray[np.intp]) -> Sample:
        """The rows at these positions (m,), in their order."""
        return Sample(
            self.features.iloc[positions],
            None if self.target is None else self.target.iloc[positions],
            None if self.weights is None else self.weights[positions],
        )


def balanced(target: pd.Series, weights: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Weights (n,) in the same proportions within a class, of which every class has the same sum.

    Their sum stays what it was, n without weights.
    """
    codes, classes = pd.factorize(target)
    own = np.ones(len(target)) if weights is None else np.asarray(weights, dtype=np.float64)
    of_class: NDArray[Any] = np.bincount(codes, weights=own, minlength=len(classes))
    found: NDArray[np.float64] = own * (own.sum() / (len(classes) * of_class))[codes]
    return found
