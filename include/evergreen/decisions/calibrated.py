"""A classifier whose probabilities are calibrated by rows that it was not fit on.

Of each class the probability is mapped to the share that happened: by an isotonic regression (Zadrozny and
Elkan 2002, "Transforming classifier scores into accurate multiclass probability estimates") or a logistic one
of the probability (Platt 1999, "Probabilistic outputs for support vector machines"; as scikit-learn does, but
with the labels as they are). Of two classes there is one map, of more one for each against the rest, and what
is mapped is divided by its sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from evergreen.errors import RefusedError

Method = Literal["isotonic", "sigmoid"]
Floats = NDArray[np.float64]

FEWEST = 10
"""Rows that each class must have, and the rest too, to be calibrated by."""


class Calibrated(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted classifier, `estimator`, and the maps of its probabilities.

    It predicts the class with the largest calibrated probability, of equal ones the first.
    """

    def __init__(self, estimator: Any, method: Method) -> None:
        self.estimator = estimator
        self.method = method

    def calibrate(
        self, said: Floats, actual: NDArray[Any], classes: Sequence[Any], weights: Floats | None = None
    ) -> Self:
        """Learn from n rows that were not fit on: the probabilities (n, k) said of them, and the truth (n,).

        The probabilities are of the k `classes`, and `weights` (n,) is how much each row counts. Raises
        `RefusedError`, naming the class, where a class has fewer than 10 rows.
        """
        self.classes_ = np.asarray(classes)
        maps = []
        for place in _mapped(len(self.classes_)):
            happened = actual == self.classes_[place]
            few = min(int(happened.sum()), int((~happened).sum()))
            if few < FEWEST:
                raise RefusedError(
                    f"training.calibrate: class '{self.classes_[place]}' or the rest has {few} rows in the "
                    f"folds, and {FEWEST} are needed: take more history, or leave 'calibrate' out"
                )
            maps.append(_map(self.method).fit(*_given(self.method, said[:, place], happened), weights))
        self.maps_ = maps
        return self

    def fit(self, features: pd.DataFrame, target: Any) -> Self:
        """Nothing: the estimator is fitted, and the maps come from other rows, by `calibrate`."""
        return self

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """The features of the estimator."""
        names: NDArray[Any] = self.estimator.feature_names_in_
        return names

    def predict_proba(self, features: pd.DataFrame) -> Floats:
        """The calibrated probabilities (n, k) of features (n, d), which add up to 1."""
        return self.calibrated(np.asarray(self.estimator.predict_proba(features), dtype=np.float64))

    def predict(self, features: pd.DataFrame) -> NDArray[Any]:
        """The likeliest class (n,)."""
        likeliest: NDArray[Any] = self.classes_[self.predict_proba(features).argmax(axis=1)]
        return likeliest

    def calibrated(self, said: Floats) -> Floats:
        """The calibrated probabilities (n, k) of those that the estimator says (n, k)."""
        found = np.column_stack(
            [
                _asked(self.method, one, said[:, place])
                for one, place in zip(self.maps_, _mapped(said.shape[1]), strict=True)
            ]
        )
        if said.shape[1] == 2:
            return np.column_stack([1 - found[:, 0], found[:, 0]])
        total = found.sum(axis=1, keepdims=True)
        # Where no class is left with any, nothing is known but that there are so many.
        even = np.full_like(found, 1 / found.shape[1])
        return np.where(total > 0, found / np.where(total > 0, total, 1), even)


def _mapped(classes: int) -> range:
    return range(1, 2) if classes == 2 else range(classes)


def _map(method: Method) -> Any:
    if method == "isotonic":
        return IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    return LogisticRegression(C=np.inf, max_iter=1_000)


def _given(method: Method, chance: Floats, happened: NDArray[np.bool_]) -> tuple[Any, NDArray[Any]]:
    if method == "isotonic":
        return chance, happened.astype(np.float64)
    return chance.reshape(-1, 1), happened


def _asked(method: Method, one: Any, chance: Floats) -> Floats:
    if method == "isotonic":
        return np.asarray(one.predict(chance), dtype=np.float64)
    return np.asarray(one.predict_proba(chance.reshape(-1, 1))[:, 1], dtype=np.float64)
