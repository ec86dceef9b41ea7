"""The trees of scikit-learn's estimators, in the form that is explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
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
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from evergreen.contributions.tree import UNKNOWN, Floats, Tree

SINGLE = (DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor)
AVERAGED = (ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor)
BOOSTED = (GradientBoostingClassifier, GradientBoostingRegressor)
BINNED = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)


@dataclass(frozen=True)
class Forest:
    """Trees by output, what is added to them, and the matrix of numbers that they read.

    The matrix has d columns, `columns` (d,) says which feature each is; `added` is a number by output.
    """

    trees: list[list[Tree]] = field(repr=False)
    added: list[float]
    matrix: Callable[[Any], Floats] = field(repr=False)
    columns: list[int]


def forest_of(estimator: Any) -> Forest:
    """The trees of a fitted estimator, one of the tuples above."""
    if isinstance(estimator, BINNED):
        return _binned(estimator)
    columns = list(range(estimator.n_features_in_))
    if isinstance(estimator, BOOSTED):
        outputs = estimator.estimators_.shape[1]
        own = [
            [
                _plain(tree.tree_, 0, lambda value: value, estimator.learning_rate)
                for tree in estimator.estimators_[:, k]
            ]
            for k in range(outputs)
        ]
        return Forest(own, start_of(estimator, outputs), _single_precision(estimator), columns)
    members = [estimator] if isinstance(estimator, SINGLE) else list(estimator.estimators_)
    outputs = len(estimator.classes_) if is_classifier(estimator) else 1
    shares = _share if is_classifier(estimator) else (lambda value: value)
    trees = [[_plain(one.tree_, k, shares, 1 / len(members)) for one in members] for k in range(outputs)]
    return Forest(trees, [0.0] * outputs, _single_precision(estimator), columns)


def explains_start(estimator: Any) -> bool:
    """Whether gradient boosting, fitted or not, starts from a constant."""
    start = getattr(estimator, "init_", estimator.init)
    return start is None or isinstance(start, str | DummyClassifier | DummyRegressor)


def start_of(estimator: Any, outputs: int) -> list[float]:
    """What gradient boosting that `explains_start` adds its trees to, by output."""
    blank = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
    return [float(value) for value in np.asarray(estimator._raw_predict_init(blank)).reshape(outputs)]


def _share(value: Floats) -> Floats:
    total = value.sum(axis=1, keepdims=True)
    shares: Floats = value / np.where(total == 0, 1, total)
    return shares


def _plain(tree: Any, output: int, of_node: Callable[[Floats], Floats], factor: float) -> Tree:
    values = of_node(np.asarray(tree.value[:, 0, :], dtype=np.float64))
    return Tree(
        feature=np.maximum(tree.feature, 0).astype(np.int64),
        threshold=tree.threshold.astype(np.float64),
        left=tree.children_left.astype(np.int64),
        right=tree.children_right.astype(np.int64),
        missing_left=tree.missing_go_to_left.astype(bool),
        value=values[:, output] * factor,
        weight=tree.weighted_n_node_samples.astype(np.float64),
    )


def _single_precision(estimator: Any) -> Callable[[Any], Floats]:
    def matrix(features: Any) -> Floats:
        # scikit-learn's trees compare in single precision.
        return np.asarray(features, dtype=np.float32).astype(np.float64)

    return matrix


def _binned(estimator: Any) -> Forest:
    of_categories = estimator.is_categorical_
    first = [] if of_categories is None else np.flatnonzero(of_categories).tolist()
    columns = [*first, *(place for place in range(estimator.n_features_in_) if place not in first)]
    known = _known(estimator, len(first))
    outputs = estimator.n_trees_per_iteration_
    trees = [[_of_nodes(round_[k], known) for round_ in estimator._predictors] for k in range(outputs)]

    def matrix(features: Any) -> Floats:
        found = np.array(estimator._preprocess_X(features, reset=False), dtype=np.float64)
        for place, codes in enumerate(known):
            column = found[:, place]
            found[:, place] = np.where(np.isin(column, list(codes)), column, UNKNOWN)
        return found

    start = np.asarray(estimator._baseline_prediction, dtype=np.float64).reshape(-1)
    return Forest(trees, [float(value) for value in start], matrix, columns)


def _known(estimator: Any, count: int) -> list[set[int]]:
    if not count:
        return []
    sets, _ = estimator._bin_mapper.make_known_categories_bitsets()
    return [set(_codes(bits)) for bits in sets]


def _codes(bits: Any) -> list[int]:
    return [32 * word + bit for word, value in enumerate(bits) for bit in range(32) if int(value) >> bit & 1]


def _of_nodes(predictor: Any, known: list[set[int]]) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    missing_left = nodes["missing_go_to_left"].astype(bool)
    categories = {}
    for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf).tolist():
        codes = _codes(predictor.raw_left_cat_bitsets[int(nodes["bitset_idx"][node])])
        categories[node] = (*codes, int(UNKNOWN)) if missing_left[node] else tuple(codes)
    found = Tree(
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=np.where(leaf, 0, nodes["num_threshold"]).astype(np.float64),
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        missing_left=missing_left,
        value=nodes["value"].astype(np.float64),
        weight=nodes["count"].astype(np.float64),
        categories=categories,
    )
    # A split of missing values from all others has a threshold of infinity, which LightGBM's text has not.
    largest = np.finfo(np.float64).max
    return replace(found, threshold=np.clip(found.threshold, -largest, largest))
