"""A classifier with prediction sets, which hold the true class of a row as often as promised, of each class.

Least ambiguous sets (Sadinle, Lei and Wasserman 2019, "Least Ambiguous Set-Valued Classifiers With Bounded
Error Levels"): a class is in the set of a row unless its probability is among the lowest that rows which are
truly of this class have. So each class is covered as often as promised, also a rare one (label-conditional
conformal prediction, Vovk et al. 2003), and whatever the share of each class is in new rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import FixedThresholdClassifier

from evergreen.decisions.calibrated import Calibrated
from evergreen.errors import RefusedError
from evergreen.intervals.conformal import fewest_rows

Floats = NDArray[np.float64]
Members = NDArray[np.bool_]

_TIE = 1e-9  # probabilities this close are equal: processors round the last digits otherwise


class ConformalClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted classifier `model` with sets of `levels`, shares from 0 to 1, the first the main one.

    `calibrate` learns from rows that the model was not fit on, or models like it. Sets are made from the
    probabilities of the candidate itself: those that were calibrated on the same rows would seem too sure.
    """

    def __init__(self, model: Any, levels: tuple[float, ...]) -> None:
        self.model = model
        self.levels = levels

    def calibrate(self, said: Floats, actual: NDArray[Any], weights: Floats | None = None) -> Self:
        """Learn from n rows: the probabilities (n, k) said of the model's classes, and the truth (n,).

        `weights` (n,) is how much each row counts. A class with fewer rows than the highest level needs is
        taken together with the next rarest, until they have enough: the promise is then for both together.
        Raises `RefusedError` where all rows together are too few.
        """
        weights = np.ones(len(actual)) if weights is None else np.asarray(weights, dtype=np.float64)
        classes = list(self.classes_)
        place = {name: number for number, name in enumerate(classes)}
        numbers = np.array([place.get(name, -1) for name in np.asarray(actual).tolist()], dtype=np.intp)
        counted = (numbers >= 0) & (weights > 0)
        numbers, weights = numbers[counted], weights[counted]
        least = fewest_rows(max(self.levels))
        if len(numbers) < least:
            raise RefusedError(
                f"sets: {max(self.levels) * 100:g}% needs at least {least} rows in the folds and there are "
                f"{len(numbers)}: ask for a lower level, or train on more rows"
            )
        scores = 1 - said[counted, numbers]
        order = np.argsort(scores, kind="stable")
        self.group_of_ = _groups(np.bincount(numbers, minlength=len(classes)), least)
        own = self.group_of_[numbers[order]]
        self.scores_ = [scores[order][own == group] for group in range(own.max() + 1)]
        self.weights_ = [weights[order][own == group] for group in range(own.max() + 1)]
        return self

    def fit(self, features: pd.DataFrame, target: Any) -> Self:
        """Nothing: the model is fitted, and the scores come from other rows, by `calibrate`."""
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes (k,) of the model."""
        return np.asarray(self.model.classes_)

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """The features of the model."""
        names: NDArray[Any] = self.model.feature_names_in_
        return names

    def predict(self, features: pd.DataFrame) -> NDArray[Any]:
        """The predictions (n,) of the model itself."""
        return np.asarray(self.model.predict(features))

    def predict_proba(self, features: pd.DataFrame) -> Floats:
        """The probabilities (n, k) of the model itself."""
        return np.asarray(self.model.predict_proba(features), dtype=np.float64)

    def predict_set(self, features: pd.DataFrame, levels: Sequence[float] | None = None) -> Members:
        """Which of the k classes are in the sets (n, levels, k) of features (n, d), by default of its levels.

        Sets grow with the level and are never empty: where no class would be in one, it holds the class that
        would be the first in the set of a higher level.
        """
        said = np.asarray(candidate_of(self.model).predict_proba(features), dtype=np.float64)
        return self.around(said, levels)

    def around(self, said: Floats, levels: Sequence[float] | None = None) -> Members:
        """The sets (n, levels, k) for probabilities (n, k) that the candidate says."""
        found = self.p_values(said)
        first = found == found.max(axis=1, keepdims=True)
        leading = np.where(first, said, -1.0).argmax(axis=1)
        members = np.stack([found > 1 - level + 1e-12 for level in levels or self.levels], axis=1)
        rows, places = np.nonzero(~members.any(axis=2))
        members[rows, places, leading[rows]] = True
        return members

    def p_values(self, said: Floats) -> Floats:
        """Of each class (n, k), the share of rows of it that have at most its probability, the row included.

        Above 1 - level it is in the set of the level. A new row counts as the mean of the rows.
        """
        found = np.empty(said.shape)
        for group, (scores, weights) in enumerate(zip(self.scores_, self.weights_, strict=True)):
            columns = self.group_of_ == group
            below = np.append(0.0, np.cumsum(weights) / weights.mean())
            places = np.searchsorted(scores, 1 - said[:, columns] - _TIE, side="left")
            found[:, columns] = 1 - below[places] / (len(scores) + 1)
        return found


def candidate_of(model: Any) -> Any:
    """The classifier within a decision threshold and a calibration."""
    if isinstance(model, FixedThresholdClassifier):
        model = model.estimator_
    return model.estimator if isinstance(model, Calibrated) else model


def _groups(counts: NDArray[np.intp], least: int) -> NDArray[np.intp]:
    """The number of the group of each class, whose rows are `counts` (k,); a group has `least` or more rows.

    The rarest classes come first; a remainder joins the group before it.
    """
    order = np.argsort(counts, kind="stable")
    found = np.zeros(len(counts), dtype=np.intp)
    group = rows = 0
    for place, number in enumerate(order):
        left = int(counts[order[place:]].sum())
        if rows >= least and left >= least:
            group, rows = group + 1, 0
        found[number] = group
        rows += int(counts[number])
    return found
