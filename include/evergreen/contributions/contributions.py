"""What each feature contributes to a model's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.boosters.estimator import Boosted
from evergreen.contributions.explainable import Heart, check_explained, dense, heart_of, transformed
from evergreen.contributions.forests import forest_of
from evergreen.contributions.linear import is_linear, linear_contributions
from evergreen.contributions.sources import sources_of
from evergreen.contributions.tree import tree_contributions

Floats = NDArray[np.float64]

_DIGITS = 12  # of two contributions that differ after them, neither is the larger one
FEATURE, VALUE = "feature", "value"


@dataclass(frozen=True)
class Contributions:
    """Contributions of d features to the margins of n rows: `values` (n, d), and the `base` (n,).

    Base and values of a row add up to the margin of the model's innermost estimator: a regression's
    prediction before the transform of the target is undone, or its logarithm for a loss of counts; of two
    classes the log-odds of the positive one; of more, the score of the class that is predicted. Trees,
    forests and extra trees have the probability itself.
    """

    names: tuple[str, ...]
    values: Floats = field(repr=False)
    base: Floats = field(repr=False)

    def leading(self, most: int) -> list[list[dict[str, Any]]]:
        """The `most` largest of each row, by absolute value and then by name."""
        rounded = np.abs(np.vectorize(_rounded, otypes=[np.float64])(self.values))
        by_name = np.argsort(np.argsort(np.array(self.names, dtype=object)))
        found = []
        for row, sizes in zip(self.values, rounded, strict=True):
            order = np.lexsort((by_name, -sizes))[:most]
            found.append([{FEATURE: self.names[place], VALUE: float(row[place])} for place in order])
        return found


def contributions_of(
    model: Any, features: pd.DataFrame, labels: Sequence[Any], positive: int = 1
) -> Contributions:
    """Contributions of the features (n, d) to what a fitted model predicts.

    `labels` (n,) are the predicted classes, by which one of more than two is chosen; `positive` is the place
    of the positive class among two. Raises `SpecError` for a model that cannot be explained.
    """
    check_explained("explain", model)
    heart = heart_of(model)
    of_columns = _by_output(heart, features)
    chosen = _chosen(heart.estimator, of_columns, labels, positive)
    sources = sources_of(heart.steps, features.shape[1])
    values = np.zeros((len(features), features.shape[1]))
    for column, source in enumerate(sources):
        values[:, source] += chosen[:, column]
    return Contributions(tuple(map(str, features.columns)), values, chosen[:, -1].copy())


def margins(model: Any, features: pd.DataFrame) -> Floats:
    """Base and contributions of the features (n, d) added up, by output: (n, outputs)."""
    check_explained("explain", model)
    found: Floats = _by_output(heart_of(model), features).sum(axis=2)
    return found


def _by_output(heart: Heart, features: pd.DataFrame) -> Floats:
    """Contributions (n, outputs, columns + 1) of the columns that come to a heart; the base is last."""
    estimator, columns = heart.estimator, transformed(heart, features)
    if isinstance(estimator, Boosted):
        return estimator.contributions(columns)
    if is_linear(type(estimator)):
        return linear_contributions(estimator, dense(columns))
    columns = columns.toarray() if hasattr(columns, "toarray") else columns
    forest = forest_of(estimator)
    matrix = forest.matrix(columns)
    found = np.zeros((len(matrix), len(forest.trees), len(forest.columns) + 1))
    for output, (trees, added) in enumerate(zip(forest.trees, forest.added, strict=True)):
        own = tree_contributions(trees, matrix)
        found[:, output, forest.columns] = own[:, :-1]
        found[:, output, -1] = own[:, -1] + added
    return found


def _chosen(estimator: Any, found: Floats, labels: Sequence[Any], positive: int) -> Floats:
    """Of each row the output (n, columns + 1) that is explained."""
    classes = list(getattr(estimator, "classes_", ()))
    if found.shape[1] == 1:
        sign = -1.0 if len(classes) == 2 and positive == 0 else 1.0
        return sign * found[:, 0]
    if len(classes) == 2:
        return found[:, positive]
    place = {value: number for number, value in enumerate(classes)}
    return found[np.arange(len(found)), [place[label] for label in np.asarray(labels).tolist()]]


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
