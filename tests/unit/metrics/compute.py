"""All metrics of rows in one call, and costs by scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from evergreen.metrics import Costs
from evergreen.metrics.measured import measured

COSTS = Costs(false_negative=5, false_positive=2)


def compute(*rows: Any, **more: Any) -> dict[str, float]:
    """The metrics of the rows that `measured` makes of these arguments, by name."""
    return measured(*rows, **more).values


def mean_cost(
    actual: Any, predicted: Any, classes: Any, *, weights: Any = None, costs: Costs = COSTS
) -> float:
    """The mean cost of a row by the confusion matrix; `classes` are the other and the positive one."""
    table = confusion_matrix(actual, predicted, labels=list(classes), sample_weight=weights)
    price = np.array([[0, costs.false_positive], [costs.false_negative, 0]])
    return float((table * price).sum() / table.sum())
