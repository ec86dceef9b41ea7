"""scikit-learn's ensembles of trees with a short way for few rows, which gives the same numbers bit for bit.

Of one row scikit-learn needs most of the time for checks of the frame, and for calls, one a tree. The short
way gives features that need no check to the joined trees. Where it must not be taken, scikit-learn's own
method answers, or raises what it raises.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from evergreen.contributions.forests import AVERAGED, BINNED, explains_start, start_of
from evergreen.serving.joined import MOST_NODES, Floats, Joined, join_binned, join_plain
from evergreen.serving.plain import Plain

FEW = 32
"""Up to how many rows the short way is taken: measured, it is shorter up to 45 rows, of some estimators 500.
That depends little on the number of trees, since both ways take longer with more."""


@dataclass(frozen=True)
class ShortWay:
    """The joined trees, and which features may be given to them without a check."""

    plain: Plain
    trees: Joined = field(repr=False)

    def sums(self, features: Any) -> Floats | None:
        """The sums (n, k) over all trees for features (n, d); None if these must go the long way."""
        if not (rows := getattr(features, "shape", (0,))[0]) or rows > FEW:
            return None
        matrix = self.plain.matrix(features)
        return None if matrix is None else self.trees.sums(matrix)


class _Short:
    """What an estimator with a short way has beside its own; subclasses have the method that takes it."""

    short_: ShortWay

    def __sklearn_is_fitted__(self) -> bool:
        # It was fitted when the short way was made; scikit-learn looks at all attributes otherwise.
        return True


class _Binned(_Short):
    def _raw_predict(self, X: Any, n_threads: int | None = None) -> Any:  # noqa: N803
        found = self.short_.sums(X)
        return super()._raw_predict(X, n_threads) if found is None else np.asfortranarray(found)  # type: ignore[misc]


class _BoostedRegressor(_Short):
    def predict(self, X: Any) -> Any:  # noqa: N803
        found = self.short_.sums(X)
        return super().predict(X) if found is None else found.ravel()  # type: ignore[misc]


class _BoostedClassifier(_Short):
    def decision_function(self, X: Any) -> Any:  # noqa: N803
        found = self.short_.sums(X)
        if found is None:
            return super().decision_function(X)  # type: ignore[misc]
        return found.ravel() if found.shape[1] == 1 else found


class _AveragedRegressor(_Short):
    estimators_: list[Any]

    def predict(self, X: Any) -> Any:  # noqa: N803
        found = self.short_.sums(X)
        return super().predict(X) if found is None else found.ravel() / len(self.estimators_)  # type: ignore[misc]


class _AveragedClassifier(_Short):
    estimators_: list[Any]

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        found = self.short_.sums(X)
        return super().predict_proba(X) if found is None else found / len(self.estimators_)  # type: ignore[misc]


_SHORT: dict[type[Any], type[_Short]] = {
    HistGradientBoostingRegressor: _Binned,
    HistGradientBoostingClassifier: _Binned,
    GradientBoostingRegressor: _BoostedRegressor,
    GradientBoostingClassifier: _BoostedClassifier,
    RandomForestRegressor: _AveragedRegressor,
    RandomForestClassifier: _AveragedClassifier,
    ExtraTreesRegressor: _AveragedRegressor,
    ExtraTreesClassifier: _AveragedClassifier,
}


def why_long(estimator: Any) -> str | None:
    """Why a fitted estimator has no short way; None if it has one."""
    name = type(estimator).__name__
    if type(estimator) not in _SHORT:
        return f"{name} is no ensemble of scikit-learn's trees"
    if isinstance(estimator, AVERAGED) and estimator.n_jobs not in (None, 1):
        return f"{name} with n_jobs adds its trees in the order in which they end"
    if hasattr(estimator, "init") and not explains_start(estimator):
        return f"{name} starts from another estimator"
    if (nodes := sum(map(_node_count, _trees_of(estimator)))) > MOST_NODES:
        return f"{name} has {nodes} nodes, more than {MOST_NODES}"
    return None


def with_short_way(estimator: Any) -> Any:
    """A fitted estimator of which `why_long` says None, as one that takes the short way for few rows."""
    short = copy.copy(estimator)
    kind = type(estimator)
    short.__class__ = type(kind.__name__, (_SHORT[kind], kind), {})
    short.short_ = ShortWay(_plain_of(estimator), _joined_of(estimator))
    return short


def _trees_of(estimator: Any) -> list[Any]:
    if isinstance(estimator, BINNED):
        return [one for of_round in estimator._predictors for one in of_round]
    return [one.tree_ for one in np.ravel(estimator.estimators_)]


def _node_count(tree: Any) -> int:
    return len(tree.nodes) if hasattr(tree, "nodes") else int(tree.node_count)


def _joined_of(estimator: Any) -> Joined:
    trees, features = _trees_of(estimator), estimator.n_features_in_
    if isinstance(estimator, BINNED):
        return join_binned(estimator, trees)
    if isinstance(estimator, AVERAGED):
        outputs = len(estimator.classes_) if is_classifier(estimator) else 1
        return join_plain(trees, features, np.zeros(outputs))
    start = start_of(estimator, estimator.n_trees_per_iteration_)
    return join_plain(trees, features, np.asarray(start), scale=estimator.learning_rate)


def _plain_of(estimator: Any) -> Plain:
    names = getattr(estimator, "feature_names_in_", None)
    known = None if names is None else [str(name) for name in names]
    columns = estimator.n_features_in_
    if isinstance(estimator, BINNED):
        return Plain(known, columns, categories=_categories_of(estimator))
    blank = np.zeros((1, columns), np.float32)
    nan = isinstance(estimator, AVERAGED) and estimator.estimators_[0]._support_missing_values(blank)
    return Plain(known, columns, single=True, nan=nan)


def _categories_of(estimator: Any) -> tuple[Mapping[str, float] | None, ...]:
    """The codes of each column's categories, as the estimator's encoder gives them; empty without categories.

    A category that is no text is left out, and so goes the long way.
    """
    of_categories = estimator.is_categorical_
    if of_categories is None:
        return ()
    known = iter(estimator._preprocessor.named_transformers_["encoder"].categories_)
    return tuple(
        {value: float(code) for code, value in enumerate(next(known)) if isinstance(value, str)}
        if is_category
        else None
        for is_category in of_categories
    )
