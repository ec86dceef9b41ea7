"""A sample of the hold-out with the challenger's predictions, from which the card's figures are drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.lake import PARTITION
from evergreen.metrics.distance_space import distance_space
from evergreen.metrics.measured import measured
from evergreen.metrics.predictions import Predictions
from evergreen.spec import Spec, Task

if TYPE_CHECKING:
    from evergreen.training_set.assemble import TrainingSet

ROWS = 5_000


@dataclass(frozen=True)
class HeldRows:
    """n rows of the hold-out, in their order; `space` (n, d) is None but for clustering."""

    features: pd.DataFrame = field(repr=False)
    partitions: NDArray[Any] = field(repr=False)
    actual: NDArray[Any] | None = field(repr=False)
    weights: NDArray[np.float64] | None = field(repr=False)
    predictions: Predictions = field(repr=False)
    space: NDArray[np.float64] | None = field(repr=False)

    @classmethod
    def of(cls, spec: Spec, training_set: TrainingSet, model: Any) -> HeldRows:
        """At most 5,000 rows of the hold-out, drawn at random (seeded), with the model's predictions."""
        seed = spec.training.seed
        rows = drawn(np.flatnonzero(training_set.holdout), ROWS, seed)
        features = training_set.features.iloc[rows]
        space = None
        if spec.task is Task.CLUSTERING:
            known = drawn(np.flatnonzero(~training_set.holdout), ROWS, seed)
            space = distance_space(training_set.features.iloc[known]).transform(features)
        target, weights = training_set.target, training_set.weights
        return cls(
            features=features,
            partitions=training_set.rows[PARTITION].iloc[rows].to_numpy(),
            actual=None if target is None else target.iloc[rows].to_numpy(),
            weights=None if weights is None else weights[rows],
            predictions=Predictions.of(model, features),
            space=space,
        )

    def __len__(self) -> int:
        return len(self.features)

    def some(self, rows: int, seed: int) -> HeldRows:
        """At most so many of these rows, drawn at random."""
        index = drawn(np.arange(len(self)), rows, seed)
        return HeldRows(
            features=self.features.iloc[index],
            partitions=self.partitions[index],
            actual=_taken(self.actual, index),
            weights=_taken(self.weights, index),
            predictions=self.predictions.taken(index),
            space=_taken(self.space, index),
        )

    def value(self, spec: Spec, metric: str, predictions: Predictions) -> float:
        """One metric of other predictions of these rows; NaN where it cannot be computed."""
        return measured(
            spec.task,
            self.actual,
            predictions.labels,
            probabilities=predictions.probabilities,
            classes=predictions.classes,
            positive=spec.positive,
            space=self.space,
            weights=self.weights,
            costs=spec.training.costs,
            seed=spec.training.seed,
        ).value(metric)


def drawn(rows: NDArray[np.intp], most: int, seed: int) -> NDArray[np.intp]:
    """At most so many of the positions (n,), in their order; the same for the same seed."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _taken(values: NDArray[Any] | None, index: NDArray[np.intp]) -> NDArray[Any] | None:
    return None if values is None else values[index]
