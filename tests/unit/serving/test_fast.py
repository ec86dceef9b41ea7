"""Models with a short way for few rows: the same answers, bit for bit, and the same refusals."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
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
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from evergreen.contributions.explainable import heart_of
from evergreen.contributions.forests import forest_of
from evergreen.decisions.calibrated import Calibrated
from evergreen.intervals.conformal import ConformalRegressor
from evergreen.intervals.sets import ConformalClassifier
from evergreen.metrics.predictions import Predictions
from evergreen.serving import few, joined
from evergreen.serving.fast import Fast, fast_model
from evergreen.serving.joined import Joined
from tests.campaign import examples

ROWS = 300
NUMBERS = ["a", "b", "whole", "yes"]
TOWNS = ["Bonn", "Köln", "Ulm"]


def rows_of(missing: bool) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    found = pd.DataFrame(
        {
            "a": rng.normal(size=ROWS),
            "b": rng.normal(size=ROWS).astype(np.float32),
            "whole": rng.integers(-5, 5, ROWS),
            "yes": rng.random(ROWS) < 0.5,
        }
    )
    if missing:
        found.loc[::5, "a"] = np.nan
    return found


PLAIN, MISSING = rows_of(missing=False), rows_of(missing=True)
TOWN = MISSING.assign(town=pd.Categorical(np.resize([*TOWNS, None], ROWS), categories=TOWNS))
SIZE = np.abs(3 * PLAIN["a"] + PLAIN["whole"] * PLAIN["yes"] + np.sin(9 * PLAIN["b"])).to_numpy()
TWO, THREE = np.where(SIZE > 2, "large", "small"), np.digitize(SIZE, [1.5, 3.5])

ESTIMATORS: dict[str, tuple[Any, pd.DataFrame, Any]] = {
    "binned": (HistGradientBoostingRegressor(max_iter=9), MISSING, SIZE),
    "poisson": (HistGradientBoostingRegressor(max_iter=9, loss="poisson"), TOWN, SIZE),
    "binned of two": (HistGradientBoostingClassifier(max_iter=6), TOWN, TWO),
    "binned of three": (HistGradientBoostingClassifier(max_iter=5), MISSING, THREE),
    "boosted": (GradientBoostingRegressor(n_estimators=9, random_state=0), PLAIN, SIZE),
    "boosted from zero": (GradientBoostingRegressor(n_estimators=1, init="zero"), PLAIN, SIZE),
    "boosted of two": (GradientBoostingClassifier(n_estimators=7), PLAIN, TWO),
    "boosted of three": (GradientBoostingClassifier(n_estimators=5), PLAIN, THREE),
    "forest": (RandomForestRegressor(7, random_state=0), MISSING, SIZE),
    "forest of two": (RandomForestClassifier(7, random_state=0), PLAIN, TWO),
    "forest of three": (RandomForestClassifier(7, max_depth=4, random_state=0), MISSING, THREE),
    "extra": (ExtraTreesRegressor(7, random_state=0), MISSING, SIZE),
    "extra of three": (ExtraTreesClassifier(7, max_depth=4, random_state=0), MISSING, THREE),
    "one split": (HistGradientBoostingRegressor(max_iter=1, max_leaf_nodes=2), PLAIN, SIZE),
}


def steps(estimator: Any) -> Pipeline:
    encoded = ColumnTransformer(
        [("towns", OneHotEncoder(sparse_output=False, handle_unknown="ignore"), ["town"])],
        remainder=SimpleImputer(),
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    return Pipeline([("encoded", encoded), ("last", estimator)])


def intervals(estimator: Any, features: pd.DataFrame, target: Any) -> ConformalRegressor:
    model = estimator.fit(features, target)
    return ConformalRegressor(model, (0.8,)).calibrate(
        model.predict(features), target, np.arange(ROWS) // 100
    )


def sets(estimator: Any, features: pd.DataFrame, target: Any) -> ConformalClassifier:
    model = estimator.fit(features, target)
    return ConformalClassifier(model, (0.8,)).calibrate(model.predict_proba(features), target)


def calibrated(estimator: Any, features: pd.DataFrame, target: Any) -> Calibrated:
    model = estimator.fit(features, target)
    return Calibrated(model, "isotonic").calibrate(model.predict_proba(features), target, model.classes_)


REGRESSION, OF_TWO = HistGradientBoostingRegressor(max_iter=9), HistGradientBoostingClassifier(max_iter=6)
WRAPPED: dict[str, tuple[Callable[[], Any], pd.DataFrame]] = {
    "steps": (lambda: steps(RandomForestRegressor(5, random_state=0)).fit(TOWN, SIZE), TOWN),
    "steps without names": (
        lambda: Pipeline([("imputed", SimpleImputer()), ("last", clone(REGRESSION))]).fit(MISSING, SIZE),
        MISSING,
    ),
    "transformed target": (
        lambda: TransformedTargetRegressor(
            steps(clone(REGRESSION)), func=np.log1p, inverse_func=np.expm1
        ).fit(TOWN, SIZE),
        TOWN,
    ),
    "intervals": (lambda: intervals(clone(REGRESSION), TOWN, SIZE), TOWN),
    "sets": (lambda: sets(clone(OF_TWO).fit(TOWN, TWO), TOWN, TWO), TOWN),
    "calibrated": (lambda: calibrated(clone(OF_TWO), TOWN, TWO), TOWN),
    "threshold": (
        lambda: FixedThresholdClassifier(clone(OF_TWO), threshold=0.3, pos_label="small").fit(TOWN, TWO),
        TOWN,
    ),
    "calibrated by scikit-learn": (lambda: CalibratedClassifierCV(clone(OF_TWO), cv=2).fit(TOWN, TWO), TOWN),
    "frozen": (lambda: FrozenEstimator(clone(OF_TWO).fit(TOWN, TWO)), TOWN),
}
NAMES = [*ESTIMATORS, *WRAPPED]


@cache
def fitted(name: str) -> tuple[Any, pd.DataFrame]:
    """A model, and the features that it was fit on."""
    if name in WRAPPED:
        fit, features = WRAPPED[name]
        return fit(), features
    model, features, target = ESTIMATORS[name]
    return model.fit(features, target), features


@cache
def shortened(name: str) -> Fast:
    """A model as a server uses it."""
    model, features = fitted(name)
    return fast_model(model, features[:50])


def said(model: Any, features: Any) -> tuple[Any, ...]:
    """What a model says of features to the last bit, or how it refuses them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = Predictions.of(model, features)
    except (TypeError, ValueError) as error:
        return ("refused", str(error))
    return tuple(
        None
        if part is None
        else (part.dtype, part.shape, part.tobytes() if part.dtype != object else part.tolist())
        for part in (found.labels, found.probabilities, found.bounds, found.sets)
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_short_way_is_taken(name: str) -> None:
    model, features = fitted(name)
    assert shortened(name).way == "joined trees for up to 32 rows, scikit-learn's own for more"
    short = heart_of(shortened(name).model).estimator
    assert type(short).__name__ == type(heart_of(model).estimator).__name__
    assert heart_of(model).estimator is not short, "the model itself is as it was"
    if name in ESTIMATORS:
        assert short.short_.sums(features[:3]) is not None
        assert short.short_.sums(features[:33]) is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [1, 2, 31, 32, 33, 200])
def test_rows_are_predicted_as_by_the_model(name: str, rows: int) -> None:
    model, features = fitted(name)
    asked = features[-rows:]
    assert said(shortened(name).model, asked) == said(model, asked)


def split_at(model: Any) -> list[float]:
    """The thresholds of the first tree, and the numbers beside them."""
    estimator = heart_of(model).estimator
    if hasattr(estimator, "_predictors"):
        found = estimator._predictors[0][0].nodes["num_threshold"]
    else:
        found = np.ravel(estimator.estimators_)[0].tree_.threshold
    finite = found[np.isfinite(found)]
    return [*finite, *np.nextafter(finite, np.inf), *np.nextafter(finite, -np.inf)]


EXTREME = [np.nan, np.inf, -np.inf, -0.0, 0.0, 5e-324, 1e300, -1e300, 3.5e38, 2.0**60 + 2**36, 0.1]


@settings(max_examples=examples(30), deadline=None)
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_whatever_is_asked_is_answered_or_refused_as_by_the_model(data: st.DataObject, name: str) -> None:
    model, features = fitted(name)
    rows = data.draw(st.integers(0, 4))
    value = st.sampled_from([*EXTREME, *split_at(model)]) | st.floats(-3, 3)
    columns: dict[str, Any] = {}
    for column in features:
        if column == "town":
            towns = st.sampled_from([*TOWNS, "Rom", "", None])
            drawn = data.draw(st.lists(towns, min_size=rows, max_size=rows))
            columns[column] = pd.Series(drawn, dtype=data.draw(st.sampled_from(["category", "str", object])))
        else:
            drawn = data.draw(st.lists(value, min_size=rows, max_size=rows))
            kind = data.draw(st.sampled_from([np.float64, np.float32, np.int64, np.bool_, "Float64"]))
            with np.errstate(all="ignore"):
                columns[column] = (
                    pd.Series(drawn, dtype=float).to_numpy().astype(kind)
                    if kind != "Float64"
                    else pd.array(drawn, kind)
                )
    asked = pd.DataFrame(columns)
    assert said(shortened(name).model, asked) == said(model, asked)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_other_features_are_refused_as_by_the_model(name: str) -> None:
    model, features = fitted(name)
    one = features[:1]
    for asked in (
        one[[*reversed(one.columns)]],
        one.rename(columns={"b": "c"}),
        one.drop(columns="b"),
        one.assign(b="much"),
        one.assign(b=pd.array([3], "Int64")),
        one.to_numpy(),
        one[:0],
        [[1.0] * one.shape[1]],
    ):
        assert said(shortened(name).model, asked) == said(model, asked)


def test_whole_numbers_too_large_for_single_precision_are_rounded_as_by_scikit_learn() -> None:
    model, features = fitted("forest")
    asked = features[:2].assign(whole=np.array([2**53 + 2**29 + 1, 2**62 + 2**38 + 1]))
    assert said(shortened("forest").model, asked) == said(model, asked)
    assert heart_of(shortened("forest").model).estimator.short_.sums(asked) is None


def test_categories_that_are_no_texts_go_the_long_way() -> None:
    features = MISSING.assign(kind=pd.Categorical(np.resize([1, 2, 3], ROWS)))
    model = HistGradientBoostingRegressor(max_iter=5).fit(features, SIZE)
    short = fast_model(model, features[:9]).model
    assert short.short_.sums(features[:2]) is None
    assert said(short, features[:9]) == said(model, features[:9])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_rows_are_walked_in_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, features = fitted(name)
    monkeypatch.setattr(joined, "_BLOCK", 90)
    assert said(shortened(name).model, features[:32]) == said(model, features[:32])


@pytest.mark.parametrize("name", ["poisson", "boosted of three", "forest of two"])
def test_a_model_with_a_short_way_is_explained_as_before(name: str) -> None:
    model, features = fitted(name)
    one, other = forest_of(model), forest_of(shortened(name).model)
    assert one.added == other.added
    assert (one.matrix(features) == other.matrix(features)).sum() == np.isfinite(one.matrix(features)).sum()


def test_what_has_no_short_way_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for model, why in (
        (LinearRegression(), "LinearRegression is no ensemble of scikit-learn's trees"),
        (RandomForestRegressor(3, n_jobs=2), "RandomForestRegressor with n_jobs adds its trees in the order"),
        (GradientBoostingRegressor(init=LinearRegression(), n_estimators=3), "starts from another estimator"),
    ):
        found = fast_model(model.fit(PLAIN, SIZE), PLAIN[:5])
        assert found.model is model
        assert found.way.startswith("scikit-learn's own: ")
        assert why in found.way
    monkeypatch.setattr(few, "MOST_NODES", 10)
    model, features = fitted("forest")
    assert "nodes, more than 10" in fast_model(model, features[:5]).way


@pytest.mark.parametrize("name", ["binned", "binned of two", "intervals"])
@pytest.mark.parametrize("rows", [20, 12])
def test_other_golden_predictions_keep_the_model(
    name: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if only the last of more golden rows than go the short way are others."""

    def wrong(self: Joined, matrix: Any) -> Any:
        return sums(self, matrix) * (1 + 1e-15 * (len(matrix) == rows))

    sums = Joined.sums
    monkeypatch.setattr(Joined, "sums", wrong)
    model, features = fitted(name)
    found = fast_model(model, features[: 20 if rows == 20 else 32 + rows])
    assert found.model is model
    assert found.way.startswith("scikit-learn's own: joined trees give other golden pr")
