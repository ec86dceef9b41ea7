"""Truth and predictions of rows, in the form that metrics are computed from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evergreen.metrics.costs import Costs
from evergreen.task import Task


@dataclass(frozen=True)
class Rows:
    """Truth and predictions of n rows.

    Classes are numbers 0 .. `classes` - 1 in the order of `evergreen.metrics.classes` of their `names`, of
    all that truth, predictions and model name; `probabilities` (n, classes) hold 0 for a class that the model
    does not know. For clustering there is no truth, `predicted` are the clusters 0 .. `classes` - 1, and
    `space` (n, dimensions) is where distances are measured. `weights` (n,) count for regression and
    classification. `costs` are those of wrong decisions between two classes, None where none are described.
    """

    task: Task
    predicted: NDArray[Any] = field(repr=False)
    actual: NDArray[Any] | None = field(default=None, repr=False)
    classes: int = 0
    probabilities: NDArray[np.float64] | None = field(default=None, repr=False)
    space: NDArray[np.float64] | None = field(default=None, repr=False)
    weights: NDArray[np.float64] | None = field(default=None, repr=False)
    seed: int = 0
    names: tuple[Any, ...] = ()
    costs: Costs | None = None

    def __len__(self) -> int:
        return len(self.predicted)

    @property
    def errors(self) -> NDArray[np.float64]:
        """Prediction less actual value of each row (n,), of a regression."""
        assert self.actual is not None
        errors: NDArray[np.float64] = self.predicted - self.actual
        return errors

    @property
    def right(self) -> NDArray[np.float64]:
        """1 for each row whose predicted class is the actual one, else 0 (n,)."""
        hit: NDArray[np.float64] = np.equal(np.asarray(self.actual), self.predicted).astype(np.float64)
        return hit

    @property
    def true_probability(self) -> NDArray[np.float64]:
        """The probability of each row's actual class (n,)."""
        assert self.probabilities is not None
        true: NDArray[np.float64] = self.probabilities[np.arange(len(self)), self.actual]
        return true

    @property
    def positives(self) -> list[int]:
        """The classes that a curve is drawn for: the positive one of two, or each of more that there are."""
        assert self.actual is not None
        present = np.flatnonzero(np.bincount(self.actual, minlength=self.classes))
        if len(present) < 2:
            return []
        return [1] if self.classes == 2 else [int(label) for label in present]
