"""A model's predictions for some rows: labels, and probabilities if it gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evergreen.metrics.costs import Costs
from evergreen.metrics.measured import Measured, measured
from evergreen.task import Task


@dataclass(frozen=True)
class Predictions:
    """Predictions of n rows: `labels` (n,), and `probabilities` (n, k) of the k `classes` in their order.

    Of a regression with intervals, `bounds` (n, levels, 2) are lower and upper for each of the `levels`. Of a
    classification with sets, `sets` (n, levels, k) are which of the classes are in the set of each.
    `labels` are numbers for regression, classes for classification and clusters for clustering.
    """

    labels: NDArray[Any] = field(repr=False)
    probabilities: NDArray[np.float64] | None = field(default=None, repr=False)
    classes: tuple[Any, ...] = ()
    bounds: NDArray[np.float64] | None = field(default=None, repr=False)
    levels: tuple[float, ...] = ()
    sets: NDArray[np.bool_] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, model: Any, features: pd.DataFrame) -> Predictions:
        """A fitted model's predictions from features (n, d); with all that it gives."""
        labels, levels = np.asarray(model.predict(features)), levels_of(model)
        if not (classes := classes_of(model)):
            return cls(labels, bounds=model.around(labels) if levels else None, levels=levels)
        said = np.asarray(model.predict_proba(features), dtype=np.float64)
        sets = model.predict_set(features) if levels else None
        return cls(labels, said, classes, levels=levels, sets=sets)

    def __len__(self) -> int:
        return len(self.labels)

    def taken(self, rows: NDArray[Any]) -> Predictions:
        """The predictions of some of the rows: a mask (n,) or positions (m,)."""
        parts = {name: getattr(self, name) for name in ("labels", "probabilities", "bounds", "sets")}
        return replace(self, **{name: part[rows] for name, part in parts.items() if part is not None})

    @classmethod
    def joined(cls, parts: Sequence[Predictions]) -> Predictions:
        """The predictions of at least one part after another; a model gives a class it does not know 0.

        Bounds and sets are kept where all parts have those of the same levels.
        """
        labels = np.concatenate([part.labels for part in parts])
        bounds = [part.bounds for part in parts if part.bounds is not None]
        if len(bounds) == len(parts) and len({part.levels for part in parts}) == 1:
            return cls(labels, bounds=np.concatenate(bounds), levels=parts[0].levels)
        if any(part.probabilities is None for part in parts):
            return cls(labels)
        classes = tuple(sorted({name for part in parts for name in part.classes}))
        probabilities = np.concatenate([part.of_classes(classes) for part in parts])
        if any(part.sets is None for part in parts) or len({part.levels for part in parts}) > 1:
            return cls(labels, probabilities, classes)
        sets = np.concatenate([_of_classes(part.sets, part.classes, classes) for part in parts])
        return cls(labels, probabilities, classes, levels=parts[0].levels, sets=sets)

    def of_classes(self, classes: Sequence[Any]) -> NDArray[np.float64]:
        """The probabilities (n, k) of these classes; 0 of one that they are not of."""
        return _of_classes(self.probabilities, self.classes, classes)

    def beside(
        self,
        task: Task,
        actual: ArrayLike | None,
        *,
        positive: Any = None,
        space: NDArray[np.float64] | None = None,
        weights: NDArray[np.float64] | None = None,
        costs: Costs | None = None,
        seed: int = 0,
    ) -> Measured:
        """The predictions beside the truth `actual` (n,), to measure; see `metrics.measured`.

        `positive` is the class that the description calls so. Clustering has no truth but `space` (n,
        dimensions) instead. `weights` (n,) is how much each row counts, and `costs` are those of the
        description.
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
            costs=costs,
            seed=seed,
        )


def classes_of(model: Any) -> tuple[Any, ...]:
    """The classes that a fitted model gives probabilities of, in their order; none if it gives none."""
    if not (hasattr(model, "predict_proba") and hasattr(model, "classes_")):
        return ()
    return tuple(np.asarray(model.classes_).tolist())


def levels_of(model: Any) -> tuple[float, ...]:
    """The levels that a fitted model gives intervals or sets of; none if it gives none."""
    gives = hasattr(model, "predict_interval") or hasattr(model, "predict_set")
    return tuple(model.levels) if gives else ()


def _of_classes(values: NDArray[Any] | None, given: Sequence[Any], classes: Sequence[Any]) -> NDArray[Any]:
    """Values (n, ..., given) in the order of other classes (n, ..., k); 0 of those that are not given."""
    assert values is not None
    found = np.zeros((*values.shape[:-1], len(classes)), dtype=values.dtype)
    for number, name in enumerate(classes):
        if name in given:
            found[..., number] = values[..., given.index(name)]
    return found
