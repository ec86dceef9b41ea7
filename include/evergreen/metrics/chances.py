"""Expectations about a classifier's predictions, from its own probabilities."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evergreen.metrics.costs import Costs

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Chances:
    """Probabilities (n, k) of the classes in their order, and the number of each predicted one (n,).

    `costs` are those of wrong decisions between two classes, None where none are described.
    """

    of: Floats = field(repr=False)
    predicted: NDArray[np.intp] = field(repr=False)
    costs: Costs | None = None

    @property
    def right(self) -> Floats:
        """The probability that each prediction is correct (n,)."""
        chosen: Floats = self.of[np.arange(len(self.of)), self.predicted]
        return chosen

    @property
    def hit(self) -> Floats:
        """The diagonal of the expected confusion matrix (k,)."""
        return np.bincount(self.predicted, self.right, minlength=self.of.shape[1]).astype(np.float64)

    @property
    def predicted_rows(self) -> Floats:
        """The number of rows predicted as each class (k,)."""
        return np.bincount(self.predicted, minlength=self.of.shape[1]).astype(np.float64)

    @property
    def true_rows(self) -> Floats:
        """The expected number of rows of each class (k,)."""
        expected: Floats = self.of.sum(axis=0)
        return expected

    @property
    def present(self) -> Floats:
        """The probability that at least one row is of each class (k,)."""
        probable: Floats = 1 - np.prod(1 - self.of, axis=0)
        return probable
