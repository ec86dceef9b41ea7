"""What is published of a trained model: contributions beside intervals, calibration and a decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from evergreen.boosters.catalogue import REMEDY
from evergreen.candidates.fit import fit_challenger
from evergreen.contributions.explainable import heart_of
from evergreen.decisions.calibrated import Calibrated
from evergreen.intervals.conformal import ConformalRegressor
from evergreen.scoring.predict import predict
from evergreen.spec import Spec
from evergreen.training_set.assemble import assemble

TWO = """    - {estimator: sklearn.linear_model.Ridge, params: {alpha: 1.0}}
    - {estimator: sklearn.ensemble.HistGradientBoostingRegressor, params: {max_iter: 10}}
"""
LOGISTIC = "sklearn.linear_model.LogisticRegression, search: {C: [0.01, 10, log]}"


def whole(found: pd.DataFrame) -> np.ndarray:
    moved = [sum(one["value"] for one in row) for row in found["contributions"]]
    return np.asarray(found["base"] + moved, dtype=np.float64)


@pytest.mark.parametrize(
    "candidate",
    [
        "sklearn.ensemble.HistGradientBoostingRegressor, params: {max_iter: 10, monotonic_cst: {price: -1}}",
        "lightgbm.LGBMRegressor, params: {n_estimators: 50, monotone_constraints: {price: -1}}",
        "sklearn.linear_model.Ridge, preprocess: [sklearn.preprocessing.StandardScaler]",
    ],
)
def test_with_intervals_they_add_up_to_the_prediction(
    make_spec: Callable[..., Spec], daily_rows: pd.DataFrame, candidate: str
) -> None:
    if candidate.startswith("lightgbm"):
        pytest.importorskip("lightgbm", reason=f"not installed: {REMEDY}")
    asked = "explain: 9\nintervals: [80%]\ntask: regression"
    spec = make_spec(changes={TWO: f"    - {{estimator: {candidate}}}\n", "task: regression": asked})
    model = fit_challenger(spec, assemble(spec, daily_rows, "2024-02-05", 1, {})).final
    assert isinstance(model, ConformalRegressor)
    found = predict(spec, model, daily_rows, "2024-02-06")
    np.testing.assert_allclose(whole(found), found["prediction"], rtol=0, atol=1e-6)
    assert (found["lower"] < found["prediction"]).all()
    assert {one["feature"] for row in found["contributions"] for one in row} == {"price", "before"}


@pytest.mark.parametrize("positive", ["yes", "no"])
@pytest.mark.parametrize(
    ("candidate", "margin"),
    [
        ("sklearn.ensemble.HistGradientBoostingClassifier, params: {max_iter: 10}", "log-odds"),
        ("lightgbm.LGBMClassifier, params: {n_estimators: 10, early_stopping_rounds: 0}", "log-odds"),
        ("sklearn.ensemble.RandomForestClassifier, params: {n_estimators: 10}", "probability"),
    ],
)
def test_calibration_and_decision_leave_them_as_they_are(
    make_spec: Callable[..., Spec],
    people: pd.DataFrame,
    snapshot: str,
    positive: str,
    candidate: str,
    margin: str,
) -> None:
    if candidate.startswith("lightgbm"):
        pytest.importorskip("lightgbm", reason=f"not installed: {REMEDY}")
    rules = "metric: accuracy\n  calibrate: sigmoid\n  decision: {threshold: 0.9}"
    spec = make_spec(
        snapshot,
        changes={
            LOGISTIC: candidate,
            "metric: accuracy": rules,
            "target: loyal": f"target: loyal\npositive: {positive!r}\nexplain: 9",
        },
    )
    people = people.assign(spent=people["spent"].where(people.index % 4 > 0, 25.0))
    model: Any = fit_challenger(spec, assemble(spec, people, "snapshot", 1, {})).final
    assert isinstance(model.estimator_, Calibrated)
    found = predict(spec, model, people, "snapshot")
    inner = heart_of(model).estimator
    chance = inner.predict_proba(people[["spent", "visits"]])[:, list(inner.classes_).index(positive)]
    expected = logit(chance) if margin == "log-odds" else chance
    np.testing.assert_allclose(whole(found), expected, rtol=0, atol=1e-6)
    # The prediction is that of the calibrated probability and the threshold.
    assert np.abs(found["probability"] - chance).max() > 0.01
    np.testing.assert_array_equal(found["prediction"] == positive, found["probability"] >= 0.9)
