"""Contributions: they add up to the margin, and are the Shapley values that all subsets of features give."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from evergreen.contributions.contributions import Contributions, contributions_of, margins
from evergreen.contributions.explainable import check_explainable, heart_of, keep_means
from evergreen.contributions.forests import forest_of
from evergreen.contributions.tree import Tree
from evergreen.contributions.unit import Unit, unit_of
from evergreen.errors import SpecError

Margin = Callable[[Any, pd.DataFrame], Any]

pytestmark = pytest.mark.skipif(
    find_spec("lightgbm") is None, reason="LightGBM is not installed, by which trees are explained"
)


def rows(count: int = 300, *, missing: bool = False, texts: bool = False, seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({name: draw.normal(size=count).round(2) for name in ("warm", "wind", "rain")})
    if missing:
        frame = frame.mask(draw.random(frame.shape) < 0.2)
    if texts:
        kinds = draw.choice(["a", "b", "c", "d", "e"], count)
        frame.insert(1, "kind", pd.Categorical(kinds, categories=list("abcdef")))
        if missing:
            frame.loc[draw.random(count) < 0.1, "kind"] = np.nan
    return frame


def number(frame: pd.DataFrame) -> np.ndarray:
    kind = frame["kind"].isin(["a", "d"]).to_numpy() * 3 if "kind" in frame else 0
    rain = frame["rain"].fillna(2).to_numpy()
    return np.exp(0.3 * frame["warm"].fillna(1).to_numpy() * rain + kind / 3) + np.abs(rain)


def classes(frame: pd.DataFrame, count: int) -> np.ndarray:
    value = number(frame)
    return np.array(["no", "yes", "zero"])[
        np.digitize(value, np.quantile(value, np.arange(1, count) / count))
    ]


def raw(model: Any, frame: pd.DataFrame) -> Any:
    return model._raw_predict(frame)


def own(model: Any, frame: pd.DataFrame) -> Any:
    return model.predict(frame)


def decision(model: Any, frame: pd.DataFrame) -> Any:
    return model.decision_function(frame)


def share(model: Any, frame: pd.DataFrame) -> Any:
    return model.predict_proba(frame)


def log_of(model: Any, frame: pd.DataFrame) -> Any:
    return np.log(model.predict(frame))


def hist(**given: Any) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(max_iter=20, random_state=0, **given)


def hist_classes() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=10, random_state=0, categorical_features="from_dtype")


def encoded(last: Any) -> Pipeline:
    columns = ColumnTransformer(
        [("onehot", OneHotEncoder(sparse_output=False, handle_unknown="ignore"), ["kind"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    columns.set_output(transform="pandas")
    return Pipeline([("encode", columns), ("scale", StandardScaler()), ("last", last)])


UNITS = {
    ("own", 0): Unit.TARGET,
    ("log_of", 0): Unit.LOGARITHM,
    ("decision", 2): Unit.LOG_ODDS,
    ("decision", 3): Unit.SCORE,
    ("share", 2): Unit.PROBABILITY,
    ("share", 3): Unit.PROBABILITY,
}

# name, model, margin, number of classes (0: a regression), missing values, texts
MODELS: list[tuple[str, Any, Margin, int, bool, bool]] = [
    ("squared", hist(), own, 0, False, False),
    ("poisson", hist(loss="poisson"), log_of, 0, False, False),
    ("gamma", hist(loss="gamma"), log_of, 0, True, False),
    ("missing", hist(), own, 0, True, False),
    ("categories", hist(categorical_features="from_dtype"), own, 0, False, True),
    ("categories, missing", hist(categorical_features="from_dtype"), own, 0, True, True),
    ("two classes", hist_classes(), decision, 2, True, True),
    ("three classes", hist_classes(), decision, 3, True, True),
    ("tree", DecisionTreeRegressor(max_depth=5), own, 0, True, False),
    ("tree of classes", DecisionTreeClassifier(max_depth=5), share, 3, True, False),
    ("forest", RandomForestRegressor(15, random_state=0), own, 0, True, False),
    ("forest of two classes", RandomForestClassifier(15, random_state=0), share, 2, False, False),
    ("forest of three", RandomForestClassifier(15, random_state=0, max_depth=6), share, 3, True, False),
    ("extra trees", ExtraTreesRegressor(15, random_state=0), own, 0, False, False),
    ("boosting", GradientBoostingRegressor(n_estimators=20, random_state=0), own, 0, False, False),
    (
        "boosting of two",
        GradientBoostingClassifier(n_estimators=20, random_state=0),
        decision,
        2,
        False,
        False,
    ),
    (
        "boosting of three",
        GradientBoostingClassifier(n_estimators=9, random_state=0),
        decision,
        3,
        False,
        False,
    ),
    ("ridge", Ridge(), own, 0, False, False),
    ("poisson regression", PoissonRegressor(), log_of, 0, False, False),
    ("logistic", LogisticRegression(), decision, 2, False, False),
    ("logistic of three", LogisticRegression(), decision, 3, False, False),
    ("encoded ridge", encoded(Ridge()), own, 0, False, True),
    ("encoded logistic", encoded(LogisticRegression()), decision, 3, False, True),
    ("encoded forest", encoded(RandomForestRegressor(10, random_state=0)), own, 0, False, True),
    ("scaled boosting", make_pipeline(StandardScaler(), hist()), own, 0, True, False),
    ("imputed", make_pipeline(SimpleImputer(add_indicator=True), Ridge()), own, 0, True, False),
    ("sparse", make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge()), own, 0, False, True),
]


@pytest.mark.parametrize(
    ("name", "model", "margin", "count", "missing", "texts"), MODELS, ids=[one[0] for one in MODELS]
)
def test_base_and_contributions_add_up_to_the_margin(
    name: str, model: Any, margin: Margin, count: int, missing: bool, texts: bool
) -> None:
    frame = rows(missing=missing, texts=texts)
    model.fit(frame, classes(frame, count) if count else number(frame))
    keep_means(model, frame)
    new = rows(100, missing=missing, texts=texts, seed=1)
    if texts and "categories" in name:
        new.loc[:5, "kind"] = "f"  # a category that training has not seen
    expected = np.asarray(margin(model, new)).reshape(len(new), -1)
    np.testing.assert_allclose(margins(model, new), expected, rtol=0, atol=1e-6)
    assert unit_of(model, new) is UNITS[margin.__name__, count]
    labels = model.predict(new)
    found = contributions_of(model, new, labels)
    assert found.names == tuple(new.columns)
    by_class = {label: place for place, label in enumerate(getattr(model, "classes_", ()))}
    places = [by_class[one] for one in labels] if count > 2 else [expected.shape[1] - 1] * len(new)
    whole = found.values.sum(axis=1) + found.base
    np.testing.assert_allclose(whole, expected[np.arange(len(new)), places], rtol=0, atol=1e-6)


def weighed(model: Any) -> Any:
    frame = rows(missing=True)
    return model.fit(frame, number(frame), sample_weight=np.random.default_rng(0).random(len(frame)) + 0.1)


@pytest.mark.parametrize("model", [DecisionTreeRegressor(max_depth=3), RandomForestRegressor(5, max_depth=3)])
def test_weights_of_rows_are_those_of_the_tree(model: Any) -> None:
    fitted, frame = weighed(model), rows(40, missing=True)
    np.testing.assert_allclose(margins(fitted, frame)[:, 0], fitted.predict(frame), rtol=0, atol=1e-6)
    found = contributions_of(fitted, frame, []).values
    forest = forest_of(fitted)
    expected = sum(brute_force(tree, forest.matrix(frame)) for tree in forest.trees[0])
    # LightGBM counts rows in whole numbers, so a weight is rounded to 2**-30 of all.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def brute_force(tree: Tree, matrix: np.ndarray) -> np.ndarray:
    """Shapley values over all subsets, with the mean by weight where a feature is not known."""

    def expected(node: int, row: np.ndarray, known: tuple[int, ...]) -> float:
        left, right = int(tree.left[node]), int(tree.right[node])
        if left < 0:
            return float(tree.value[node])
        feature = int(tree.feature[node])
        if feature in known:
            return expected(left if goes_left(tree, node, row[feature]) else right, row, known)
        shares = tree.weight[[left, right]] / tree.weight[[left, right]].sum()
        return float(shares[0] * expected(left, row, known) + shares[1] * expected(right, row, known))

    count = matrix.shape[1]
    found = np.zeros(matrix.shape)
    for place, row in enumerate(matrix):
        for feature in range(count):
            others = [one for one in range(count) if one != feature]
            for size in range(count):
                share = factorial(size) * factorial(count - size - 1) / factorial(count)
                for known in combinations(others, size):
                    gain = expected(0, row, (*known, feature)) - expected(0, row, known)
                    found[place, feature] += share * gain
    return found


def goes_left(tree: Tree, node: int, value: float) -> bool:
    if node in tree.categories:
        return int(value) in tree.categories[node]
    return bool(tree.missing_left[node]) if np.isnan(value) else value <= tree.threshold[node]


@pytest.mark.parametrize(("missing", "texts"), [(False, False), (True, False), (True, True)])
def test_trees_have_the_shapley_values_of_all_subsets(missing: bool, texts: bool) -> None:
    frame = rows(120, missing=missing, texts=texts)
    model = HistGradientBoostingRegressor(
        max_iter=3, max_leaf_nodes=6, min_samples_leaf=8, categorical_features="from_dtype"
    ).fit(frame, number(frame))
    new = rows(20, missing=missing, texts=texts, seed=2)
    forest = forest_of(model)
    expected = np.zeros(new.shape)
    for tree in forest.trees[0]:
        expected[:, forest.columns] += brute_force(tree, forest.matrix(new))
    np.testing.assert_allclose(contributions_of(model, new, []).values, expected, rtol=0, atol=1e-9)


def test_a_stump_by_hand() -> None:
    frame = pd.DataFrame({"x": [0.0, 0.0, 0.0, 1.0], "idle": [1.0, 2.0, 3.0, 4.0]})
    model = DecisionTreeRegressor(max_depth=1, max_features=None).fit(frame[["x"]], [0.0, 0.0, 0.0, 8.0])
    found = contributions_of(model, frame[["x"]], [])
    # The mean is 2: three rows lie 2 below it, the last 6 above.
    assert found.base.tolist() == [2.0] * 4
    assert found.values[:, 0].tolist() == [-2.0, -2.0, -2.0, 6.0]


def test_a_linear_model_by_hand() -> None:
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0, 5.0], "b": [1.0, 0.0, 1.0, 0.0]})
    model = Ridge(alpha=1e-12).fit(frame, 3 * frame["a"] - 2 * frame["b"] + 1)
    keep_means(model, frame)
    found = contributions_of(model, frame, [])
    np.testing.assert_allclose(found.values, [[-6, -1], [-3, 1], [0, -1], [9, 1]], atol=1e-6)
    np.testing.assert_allclose(found.base, 3 * 2 - 2 * 0.5 + 1, atol=1e-6)


def test_the_positive_class_may_be_the_first() -> None:
    frame = rows()
    for model in (hist_classes(), LogisticRegression(), RandomForestClassifier(5, random_state=0)):
        model.fit(frame, classes(frame, 2))
        keep_means(model, frame)
        second, first = (contributions_of(model, frame, [], place) for place in (1, 0))
        np.testing.assert_allclose(first.values, -second.values, atol=1e-9)


def test_what_lies_around_an_estimator_is_seen_through() -> None:
    frame = rows()
    inner = hist_classes().fit(frame, classes(frame, 2))
    calibrated = CalibratedClassifierCV(FrozenEstimator(inner)).fit(frame, classes(frame, 2))
    bounded = FixedThresholdClassifier(FrozenEstimator(inner), threshold=0.3).fit(frame, classes(frame, 2))
    for around in (calibrated, bounded):
        assert heart_of(around).estimator is inner
        np.testing.assert_array_equal(margins(around, frame), margins(inner, frame))
    log = TransformedTargetRegressor(hist(), func=np.log1p, inverse_func=np.expm1).fit(frame, number(frame))
    np.testing.assert_allclose(margins(log, frame)[:, 0], np.log1p(log.predict(frame)), atol=1e-6)


def test_the_leading_are_the_largest_and_then_the_first_by_name() -> None:
    values = np.array([[1.0, -3.0, 3.0, 0.1 + 0.2], [0.3, 0.1 + 0.2, 0.0, 0.0]])
    found = Contributions(("d", "c", "b", "a"), values, np.zeros(2)).leading(3)
    assert [[one["feature"] for one in row] for row in found] == [["b", "c", "d"], ["c", "d", "a"]]
    assert found[0][1] == {"feature": "c", "value": -3.0}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (KNeighborsRegressor(), "KNeighborsRegressor cannot be explained: explained can be linear models"),
        (make_pipeline(PCA(), Ridge()), "PCA mixes features"),
        (GradientBoostingRegressor(init=Ridge()), "starts from another estimator"),
    ],
)
def test_what_cannot_be_explained_is_said(model: Any, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        check_explainable("here", model)
