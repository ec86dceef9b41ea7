"""A model's predictions for some rows: labels, and probabilities if it gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evergreen.metrics.measured import Measured, measured
from evergreen.task import Task


@dataclass(frozen=True)
class Predictions:
    """Predictions of n rows: `labels` (n,), and `probabilities` (n, k) of the k `classes` in their order.

    Of a regression with intervals, `bounds` (n, levels, 2) are lower and upper for each of the `levels`.
    `labels` are numbers for regression, classes for classification and clusters for clustering.
    """

    labels: NDArray[Any] = field(repr=False)
    probabilities: NDArray[np.float64] | None = field(default=None, repr=False)
    classes: tuple[Any, ...] = ()
    bounds: NDArray[np.float64] | None = field(default=None, repr=False)
    levels: tuple[float, ...] = ()

    @classmethod
    def of(cls, model: Any, features: pd.DataFrame) -> Predictions:
        """A fitted model's predictions from features (n, d); with all that it gives."""
        labels = np.asarray(model.predict(features))
        if levels := levels_of(model):
            return cls(labels, bounds=model.around(labels), levels=levels)
        if not (classes := classes_of(model)):
            return cls(labels)
        return cls(labels, np.asarray(model.predict_proba(features), dtype=np.float64), classes)

    def __len__(self) -> int:
        return len(self.labels)

    def taken(self, rows: NDArray[Any]) -> Predictions:
        """The predictions of some of the rows: a mask (n,) or positions (m,)."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        bounds = None if self.bounds is None else self.bounds[rows]
        return Predictions(self.labels[rows], probabilities, self.classes, bounds, self.levels)

    @classmethod
    def joined(cls, parts: Sequence[Predictions]) -> Predictions:
        """The predictions of at least one part after another; a model gives a class it does not know 0.

        Bounds are kept where all parts have those of the same levels.
        """
        labels = np.concatenate([part.labels for part in parts])
        bounds = [part.bounds for part in parts if part.bounds is not None]
        if len(bounds) == len(parts) and len({part.levels for part in parts}) == 1:
            return cls(labels, bounds=np.concatenate(bounds), levels=parts[0].levels)
        if any(part.probabilities is None for part in parts):
            return cls(labels)
        classes = sorted({name for part in parts for name in part.classes})
        place = {name: number for number, name in enumerate(classes)}
        probabilities, row = np.zeros((len(labels), len(classes))), 0
        for part in parts:
            columns = [place[name] for name in part.classes]
            probabilities[row : row + len(part), columns] = part.probabilities
            row += len(part)
        return cls(labels, probabilities, tuple(classes))

    def beside(
        self,
        task: Task,
        actual: ArrayLike | None,
        *,
        positive: Any = None,
        space: NDArray[np.float64] | None = None,
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,
    ) -> Measured:
        """The predictions beside the truth `actual` (n,), to measure; see `metrics.measured`.

        `positive` is the class that the description calls so. Clustering has no truth but `space` (n,
        dimensions) instead. `weights` (n,) is how much each row counts.
        """
        return measured(
            task,
            actual,
            self.labels,
            probabilities=self.probabilities,
            classes=self.classes,
            positive=positive,
            space=space,
            weights=weights,
            seed=seed,
        )


def classes_of(model: Any) -> tuple[Any, ...]:
    """The classes that a fitted model gives probabilities of, in their order; none if it gives none."""
    if not (hasattr(model, "predict_proba") and hasattr(model, "classes_")):
        return ()
    return tuple(np.asarray(model.classes_).tolist())


def levels_of(model: Any) -> tuple[float, ...]:
    """The levels that a fitted model gives intervals of; none if it gives none."""
    return tuple(model.levels) if hasattr(model, "predict_interval") else ()
