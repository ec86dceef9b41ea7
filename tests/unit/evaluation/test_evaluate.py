from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

from evergreen.evaluation.evaluate import Champion, Evaluation, evaluate
from evergreen.spec import Spec
from evergreen.training.dataset import TrainingSet
from evergreen.training.fit import Challenger

DAYS = [f"2024-01-{day:02}" for day in range(1, 21)]


def spec_of(task: str, metric: str) -> Spec:
    timed = task == "regression"
    return Spec.model_validate(
        {
            "name": "sales",
            "description": "Sales",
            "owner": "team",
            "schedule": "0 2 * * *",
            "start": "2024-01-01",
            "partition": "daily" if timed else "snapshot",
            "sources": {"sales": {"file": {"path": "sales.csv", **({"time_column": "at"} if timed else {})}}},
            "key": [] if timed else ["row"],
            "task": task,
            **({} if task == "clustering" else {"target": "sold"}),
            "training": {"metric": metric, "candidates": [{"estimator": "sklearn.linear_model.Ridge"}]},
            "folder": Path("sales"),
        }
    )


def training_set(partitions, features, target, holdout, as_of="2024-01-21") -> TrainingSet:
    rows = pd.DataFrame({"partition": partitions})
    return TrainingSet(as_of, f"{as_of}-x", rows, features, target, np.asarray(holdout), {})


def challenger_of(model) -> Challenger:
    return Challenger(model, model, {}, [])


def constant(value: float, features: pd.DataFrame) -> DummyRegressor:
    return DummyRegressor(strategy="constant", constant=value).fit(features, np.zeros(len(features)))


@pytest.fixture
def daily() -> TrainingSet:
    """Twenty days of one row; `sold` is the day of the month; the last eight are held out."""
    target = pd.Series(np.arange(1.0, 21.0))
    features = pd.DataFrame({"x": np.arange(20.0)})
    return training_set(DAYS, features, target, [day > "2024-01-12" for day in DAYS])


def test_without_a_champion_challenger_and_baseline_are_measured_on_the_holdout(daily):
    found = evaluate(spec_of("regression", "mae"), daily, challenger_of(constant(16.5, daily.features)), None)
    # Held out are 13..20, |y - 16.5| is 3.5, 2.5, 1.5, 0.5 twice; the median of 1..12 is 6.5, 10 too low.
    assert found.challenger["mae"] == pytest.approx(2.0)
    assert found.baseline["mae"] == pytest.approx(10.0)
    assert (found.rows, found.compared_rows, found.champion) == (8, 0, None)
    assert found.challenger_on_champion_rows is None
    assert found.sentence == "mae 2 on 8 hold-out rows, dummy baseline 10, no champion yet"


@pytest.mark.parametrize(
    ("as_of", "rows", "mean_of_rows"),
    [
        ("2024-01-18", 3, 19.0),  # the 18th to the 20th: the champion has seen what is before
        ("2023-12-01", 8, 16.5),  # older than the hold-out: all of it is new to both
        ("2024-01-21", 8, 16.5),  # the same as-of: nothing is new to the champion, so all of it
    ],
)
def test_the_champion_is_measured_on_rows_neither_was_trained_on(daily, as_of, rows, mean_of_rows):
    champion = Champion("old", as_of, constant(0.0, daily.features))
    challenger = challenger_of(constant(30.0, daily.features))
    found = evaluate(spec_of("regression", "mae"), daily, challenger, champion)
    assert found.compared_rows == rows
    assert found.champion["metrics"]["mae"] == pytest.approx(mean_of_rows)
    assert found.challenger_on_champion_rows["mae"] == pytest.approx(30 - mean_of_rows)
    assert found.challenger["mae"] == pytest.approx(30 - 16.5)
    assert "champion old" in found.sentence


def test_a_champion_of_other_features_has_a_problem_and_no_metrics(daily):
    other = pd.DataFrame({"x": [0.0, 1.0], "gone": [0.0, 1.0]})
    champion = Champion("old", "2024-01-05", LinearRegression().fit(other, [0.0, 1.0]))
    challenger = challenger_of(constant(16.5, daily.features))
    found = evaluate(spec_of("regression", "mae"), daily, challenger, champion)
    assert found.champion["metrics"] is None
    assert "gone" in found.champion["problem"]


def test_classification_has_its_log_loss_where_the_model_gives_probabilities():
    random = np.random.default_rng(0)
    features = pd.DataFrame({"x": np.r_[random.normal(-2, 1, 50), random.normal(2, 1, 50)]})
    target = pd.Series(["no"] * 50 + ["yes"] * 50)
    held = np.arange(100) % 5 == 0
    model = LogisticRegression().fit(features[~held], target[~held])
    data = training_set(["snapshot"] * 100, features, target, held, "snapshot")
    found = evaluate(spec_of("classification", "log_loss"), data, challenger_of(model), None)
    yes = model.predict_proba(features[held])[:, 1]
    by_hand = -np.where(target[held] == "yes", np.log(yes), np.log(1 - yes)).mean()
    assert found.challenger["log_loss"] == pytest.approx(by_hand)
    assert found.baseline["log_loss"] == pytest.approx(math.log(2))
    assert found.challenger["accuracy"] > found.baseline["accuracy"]


def test_clusters_are_compared_in_one_space_whatever_the_candidates_do():
    random = np.random.default_rng(0)
    centres = np.repeat([[0.0, 0.0], [4.0, 4000.0]], 40, axis=0)
    features = pd.DataFrame(centres + random.normal(0, [1, 1000], (80, 2)), columns=["x", "y"])
    held = np.arange(80) % 4 == 0
    model = KMeans(2, n_init=5, random_state=0).fit(features[~held])
    data = training_set(["snapshot"] * 80, features, None, held, "snapshot")
    found = evaluate(spec_of("clustering", "silhouette"), data, challenger_of(model), None)
    # The same rows in other units: nothing that is measured may change.
    scaled = features * [1, 0.001]
    again = KMeans(2, n_init=5, random_state=0).fit(scaled[~held])
    same = evaluate(
        spec_of("clustering", "silhouette"),
        training_set(["snapshot"] * 80, scaled, None, held, "snapshot"),
        challenger_of(again),
        None,
    )
    assert found.challenger["silhouette"] == pytest.approx(same.challenger["silhouette"], abs=0.05)
    assert found.challenger["silhouette"] > 0.4
    assert abs(found.baseline["silhouette"]) < 0.2


def test_an_evaluation_comes_back_from_json_as_it_was(daily):
    champion = Champion("old", "2024-01-05", constant(0.0, daily.features))
    found = evaluate(
        spec_of("regression", "mae"), daily, challenger_of(constant(1.0, daily.features)), champion
    )
    assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found


def test_nan_becomes_null_in_json_and_nan_again():
    metrics = {"mae": math.nan, "rmse": 1.0}
    written = Evaluation("mae", metrics, {}, None, None, 1, 0).to_dict()
    assert written["challenger"] == {"mae": None, "rmse": 1.0}
    back = Evaluation.from_dict(json.loads(json.dumps(written, allow_nan=False)))
    assert math.isnan(back.challenger["mae"])
