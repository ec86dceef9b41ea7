"""How far features move predictions on the hold-out, and to which side: known answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from evergreen.contributions.explainable import keep_means
from evergreen.evaluation.contributed import contributed
from evergreen.evaluation.held_rows import HeldRows
from evergreen.metrics.predictions import Predictions
from evergreen.spec import Spec
from tests.unit.evaluation.test_explain import spec_of


def rows(count: int = 400) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    return pd.DataFrame({name: draw.normal(size=count) for name in ("a", "b", "idle")})


def found_of(spec: Spec, model: Any, features: pd.DataFrame, **given: Any) -> dict[str, Any]:
    spec = spec.model_copy(update={"explain": 1, **given})
    said = Predictions.of(model, features)
    found = contributed(spec, model, HeldRows(features, np.repeat("", len(features)), None, None, said, None))
    assert found is not None
    return found


def fitted(model: Any, features: pd.DataFrame, target: Any) -> Any:
    model.fit(features, target)
    keep_means(model, features)
    return model


def directions(found: dict[str, Any]) -> dict[str, float | None]:
    return {entry["name"]: entry["direction"] for entry in found["features"]}


def test_a_linear_model_by_hand() -> None:
    features = rows()
    model = fitted(LinearRegression(), features, 3 * features["a"] - 5 * features["b"])
    found = found_of(spec_of("regression", "mae"), model, features)
    distance = (features - features.mean()).abs().mean()
    assert [entry["name"] for entry in found["features"]] == ["b", "a", "idle"]
    sizes = [entry["size"] for entry in found["features"]]
    assert sizes == pytest.approx([5 * distance["b"], 3 * distance["a"], 0], abs=1e-9)
    assert directions(found) == {"a": pytest.approx(1), "b": pytest.approx(-1), "idle": None}
    assert (found["rows"], found["unit"]) == (400, "sold")


def test_a_feature_that_moves_to_both_sides_has_no_direction() -> None:
    features = rows().assign(flag=lambda rows: rows["a"] > 0)[["b", "flag"]]
    model = fitted(DecisionTreeRegressor(max_depth=6), features, features["b"] ** 2 + 2 * features["flag"])
    found = directions(found_of(spec_of("regression", "mae"), model, features))
    assert abs(found["b"]) < 0.3
    assert found["flag"] > 0.8


def test_missing_values_and_texts_have_no_rank() -> None:
    features = rows()[["a"]].assign(town=["Oslo", "Bern"] * 200)
    model = make_pipeline(OrdinalEncoder().set_output(transform="pandas"), DecisionTreeRegressor(max_depth=4))
    target = features["a"] + (features["town"] == "Oslo")
    model.fit(features, target)
    found = found_of(spec_of("regression", "mae"), model, features)
    assert directions(found) == {"a": pytest.approx(1, abs=0.1), "town": None}
    assert all(entry["size"] > 0.1 for entry in found["features"])
    holes = features[["a"]].where(np.arange(400)[:, None] % 3 > 0)
    plain = DecisionTreeRegressor(max_depth=4).fit(holes, target)
    assert directions(found_of(spec_of("regression", "mae"), plain, holes))["a"] > 0.9


@pytest.mark.parametrize("model", [LogisticRegression(), LinearSVC()])
def test_the_direction_is_towards_the_positive_class(model: Any) -> None:
    features, spec = rows(), spec_of("classification", "accuracy")
    fitted(model, features, np.where(features["a"] > 0, "yes", "no"))
    of = "log-odds" if hasattr(model, "predict_proba") else "score"
    for positive, direction in ((None, 1), ("yes", 1), ("no", -1)):
        found = found_of(spec, model, features, positive=positive)
        assert directions(found)["a"] == pytest.approx(direction)
        assert found["unit"] == f"{of} of '{positive or 'yes'}'"


def test_of_many_classes_each_row_has_its_own() -> None:
    features = rows()
    model = fitted(LogisticRegression(), features, np.digitize(features["a"], [-1, 1]))
    found = found_of(spec_of("classification", "accuracy"), model, features)
    assert found["unit"] == "score of the predicted class"
    assert found["features"][0]["name"] == "a"
    assert set(directions(found).values()) == {None}


@pytest.mark.parametrize(
    ("model", "unit"),
    [
        (PoissonRegressor(), "logarithm of sold"),
        (
            TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1),
            "log1p of sold",
        ),
    ],
)
def test_the_unit_is_that_of_what_is_added_up(model: Any, unit: str) -> None:
    features = rows()
    fitted(model, features, np.exp(features["a"]))
    assert found_of(spec_of("regression", "mae"), model, features)["unit"] == unit


def test_without_explain_there_is_nothing() -> None:
    assert contributed(spec_of("regression", "mae"), SimpleNamespace(), SimpleNamespace()) is None  # type: ignore[arg-type]
