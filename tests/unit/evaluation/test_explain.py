"""The explanation of a challenger: known answers, and what it must be whatever the model."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.dummy import DummyRegressor
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.tree import DecisionTreeRegressor

from evergreen.candidates.fit import Challenger
from evergreen.evaluation import held_rows
from evergreen.evaluation.diagnosis import confusion, reliability_curve, residuals
from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.explain import explain, trial_scores
from evergreen.evaluation.held_rows import ROWS, HeldRows
from evergreen.metrics.predictions import Predictions
from evergreen.spec import Spec
from evergreen.training_set.assemble import TrainingSet

DAYS = np.array([f"2024-01-{day:02}" for day in range(1, 31)])


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


def training_set(features, target, partitions=None, weights=None) -> TrainingSet:
    """The last third is held out."""
    rows = len(features)
    keys = np.repeat("snapshot", rows) if partitions is None else partitions
    holdout = np.arange(rows) >= rows * 2 // 3
    target = None if target is None else pd.Series(target)
    return TrainingSet("x", "x-1", pd.DataFrame({"partition": keys}), features, target, holdout, {}, weights)


def explained(spec, data, model, trials=()):
    evaluation = Evaluation(spec.training.metric, {}, {}, None, None, int(data.holdout.sum()), 0)
    found = explain(spec, data, Challenger(model, model, {}, list(trials)), evaluation)
    assert json.loads(json.dumps(found, allow_nan=False)) == found, "it is JSON values, as they come back"
    return found


def numbers(rows: int, columns: int = 4, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(rows, columns))
    return pd.DataFrame(values, columns=[f"x{number}" for number in range(columns)])


def fitted(model, data: TrainingSet):
    known = ~data.holdout
    return model.fit(data.features[known], None if data.target is None else data.target[known])


def test_importance_finds_the_only_feature_that_tells_anything():
    features = numbers(600)
    data = training_set(features, 5 * features["x2"].to_numpy(), np.repeat(DAYS, 20))
    found = explained(spec_of("regression", "mae"), data, fitted(LinearRegression(), data))["importance"]
    first, *others = found["features"]
    assert first["name"] == "x2"
    # |5 x - 5 x'| of two draws from the normal distribution is 5 * 2 / sqrt(pi) in the mean.
    assert first["loss"] == pytest.approx(10 / np.sqrt(np.pi), rel=0.15)
    assert all(entry["loss"] == pytest.approx(0, abs=1e-9) for entry in others)


def test_importance_agrees_with_scikit_learn():
    features = numbers(1_500, 5)
    target = features @ [3.0, 1.0, 0.5, 0.0, 2.0] + features["x0"] * features["x4"]
    data = training_set(features, target.to_numpy(), np.repeat(DAYS, 50))
    model = fitted(DecisionTreeRegressor(max_depth=7), data)
    held = data.holdout
    theirs = permutation_importance(
        model, features[held], target[held], scoring="neg_mean_absolute_error", n_repeats=20, random_state=1
    ).importances_mean
    ours = explained(spec_of("regression", "mae"), data, model)["importance"]["features"]
    by_name = {entry["name"]: entry["loss"] for entry in ours}
    assert [by_name[name] for name in features] == pytest.approx(list(theirs), abs=0.08)


def test_a_metric_that_counts_upwards_loses_too():
    features = numbers(600)
    data = training_set(features, np.where(features["x1"] > 0, "yes", "no"))
    model = fitted(LogisticRegression(), data)
    for metric in ("accuracy", "roc_auc", "log_loss"):
        first = explained(spec_of("classification", metric), data, model)["importance"]["features"][0]
        assert first["name"] == "x1"
        assert first["loss"] > 0.3


def test_features_of_one_value_are_left_out():
    features = numbers(300).assign(x0=1.0, x1=0.0)
    data = training_set(features, features["x2"].to_numpy(), np.repeat(DAYS, 10))
    model = fitted(LinearRegression(), data)
    found = explained(spec_of("regression", "mae"), data, model)["importance"]["features"]
    assert {entry["name"] for entry in found} == {"x2", "x3"}
    constant = data.features.assign(x2=1.0, x3=1.0)
    data = training_set(constant, features["x2"].to_numpy(), np.repeat(DAYS, 10))
    assert explained(spec_of("regression", "mae"), data, model)["importance"] is None


def test_weights_count_in_the_importance():
    features = numbers(900, 2)
    first_half = np.arange(900) % 2 == 0
    target = np.where(first_half, features["x0"], 0.0)
    weights = np.where(first_half, 1.0, 1e-6)
    spec = spec_of("regression", "mae")
    model = LinearRegression().fit(features[first_half], target[first_half])
    with_weights = training_set(features, target, np.repeat(DAYS, 30), weights)
    without = training_set(features, target, np.repeat(DAYS, 30))
    losses = [
        explained(spec, data, model)["importance"]["features"][0]["loss"] for data in (with_weights, without)
    ]
    assert losses[0] > 1.5 * losses[1]


def test_the_same_arguments_give_the_same_explanation():
    features = numbers(20_000, 3)
    data = training_set(features, features["x0"].to_numpy() ** 2, np.resize(DAYS, 20_000))
    spec = spec_of("regression", "rmse")
    model = fitted(DecisionTreeRegressor(max_depth=4), data)
    found = explained(spec, data, model)
    assert found == explained(spec, data, model)
    assert found["rows"] == ROWS < data.holdout.sum()


def test_what_it_asks_of_a_model_does_not_grow_with_the_rows():
    asked: list[int] = []

    class Counting(DummyRegressor):
        def predict(self, X):  # noqa: N803
            asked.append(len(X))
            return super().predict(X)

    spec = spec_of("regression", "mae")
    for rows in (12_000, 60_000):
        features = numbers(rows, 30)
        data = training_set(features, features["x0"].to_numpy(), np.resize(DAYS, rows))
        explained(spec, data, fitted(Counting(), data))
    half = len(asked) // 2
    print(f"{half} calls; {sum(asked[:half]):,} rows of a hold-out of 4,000, {sum(asked[half:]):,} of 20,000")
    assert sum(asked[half:]) <= 1.1 * sum(asked[:half]) < 60_000


def test_residuals_are_what_was_predicted_too_little():
    actual, predicted = np.array([3.0, 5.0, 7.0, 9.0]), np.array([1.0, 5.0, 8.0, 9.0])
    found = residuals(actual, predicted, np.array(["a", "a", "b", "b"]), seed=0)
    assert found["points"] == [[1.0, 2.0], [5.0, 0.0], [8.0, -1.0], [9.0, 0.0]]
    assert [(entry["partition"], entry["mean"]) for entry in found["over_time"]] == [("a", 1.0), ("b", -0.5)]
    assert (found["mean"], found["median"]) == (0.25, 0.0)


def test_the_histogram_counts_every_row():
    random = np.random.default_rng(0)
    found = residuals(random.normal(size=5_000), np.zeros(5_000), None, seed=0)
    bars = found["histogram"]
    assert sum(bars["counts"]) + bars["outside"] == 5_000
    assert bars["outside"] == pytest.approx(100, abs=2)
    assert len(found["points"]) == 400
    assert found["over_time"] is None


def test_many_partitions_are_taken_together():
    keys = np.array([f"{number:04}" for number in range(1_000)])
    found = residuals(np.arange(1_000.0), np.zeros(1_000), keys, seed=0)["over_time"]
    assert len(found) <= 90
    assert sum(entry["rows"] for entry in found) == 1_000
    assert found[0]["partition"] == "0000"


def test_the_confusion_is_of_all_held_rows_where_the_rest_is_of_a_sample(monkeypatch):
    monkeypatch.setattr(held_rows, "ROWS", 40)
    features = numbers(600)
    data = training_set(features, np.where(features["x0"] > 0, "a", "b"))
    model = fitted(LogisticRegression(C=0.001), data)
    found = explained(spec_of("classification", "accuracy"), data, model)
    held = data.holdout
    wanted = confusion_matrix(data.target[held], model.predict(features[held]), labels=["a", "b"])
    assert found["confusion"] == {"labels": ["a", "b"], "counts": wanted.tolist()}
    assert (found["rows"], wanted.sum()) == (40, 200)


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_the_confusion_matrix_is_scikit_learns(classes):
    random = np.random.default_rng(classes)
    actual, predicted = (np.array([f"c{n:02}" for n in random.integers(classes, size=500)]) for _ in "ab")
    found = confusion(actual, predicted)
    assert found["counts"] == confusion_matrix(actual, predicted, labels=found["labels"]).tolist()


def test_the_rarest_of_many_classes_are_taken_together():
    random = np.random.default_rng(0)
    actual, predicted = (random.zipf(1.3, 2_000) % 40 for _ in "ab")
    found = confusion(actual, predicted)
    assert len(found["labels"]) == 12
    assert found["labels"][-1] == "(others)"
    assert sum(map(sum, found["counts"])) == 2_000


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c")])
def test_probabilities_that_are_true_lie_on_the_diagonal(classes):
    random = np.random.default_rng(3)
    given = random.dirichlet(np.ones(len(classes)), 5_000)
    actual = np.array([random.choice(classes, p=row) for row in given])
    labels = np.array(classes)[given.argmax(axis=1)]
    found = reliability_curve(actual, Predictions(labels, given, classes), None)
    assert found["of"] == ("yes" if len(classes) == 2 else None)
    assert len(found["bins"]) == 15
    inside = [group["low"] <= group["predicted"] <= group["high"] for group in found["bins"]]
    print(f"{sum(inside)} of {len(inside)} intervals of 95% hold the truth")
    assert sum(inside) >= 12
    assert sum(group["rows"] for group in found["bins"]) == 5_000


def test_probabilities_that_are_too_sure_do_not():
    random = np.random.default_rng(3)
    sure = np.where(random.random(4_000) < 0.5, 0.02, 0.98)
    actual = random.random(4_000) < 0.5 + (sure - 0.5) / 2
    given = np.column_stack([1 - sure, sure])
    found = reliability_curve(actual, Predictions(sure > 0.5, given, (False, True)), None)
    assert not any(group["low"] <= group["predicted"] <= group["high"] for group in found["bins"])


def test_without_probabilities_there_is_no_curve():
    assert reliability_curve(np.array(["a"]), Predictions(np.array(["a"])), None) is None


def test_clusters_have_their_sizes_marks_and_places():
    random = np.random.default_rng(1)
    centres = np.repeat([[0.0, 0.0, 0.0], [20.0, 0.0, 0.0], [0.0, 0.0, 20.0]], [90, 60, 30], axis=0)
    features = pd.DataFrame(centres + random.normal(size=centres.shape), columns=["x", "y", "z"])
    features = features.sample(frac=1, random_state=0).reset_index(drop=True)
    data = training_set(features, None)
    model = fitted(KMeans(3, n_init=5, random_state=0), data)
    found = explained(spec_of("clustering", "silhouette"), data, model)
    shape = found["clusters"]
    sizes = pd.Series(model.predict(features[data.holdout])).value_counts()
    assert [entry["rows"] for entry in shape["clusters"]] == sizes.tolist()
    assert {entry["marks"][0]["name"] for entry in shape["clusters"]} <= {"x", "z"}
    assert shape["explained"][0] > 0.4
    assert len(shape["points"]) == 60
    losses = {entry["name"]: entry["loss"] for entry in found["importance"]["features"]}
    assert min(losses["x"], losses["z"]) > 0.1 > abs(losses["y"])


def test_the_trials_are_told_in_order_with_the_best_so_far():
    trials = [
        {"estimator": "a.A", "score": 3.0},
        {"estimator": "b.B", "score": None},
        {"estimator": "a.A", "score": 4.0},
        {"estimator": "b.B", "score": float("nan")},
        {"estimator": "b.B", "score": 2.0},
    ]
    found = trial_scores("mae", trials)
    assert found["candidates"] == ["a.A", "b.B"]
    assert [trial["best"] for trial in found["trials"]] == [3.0, 3.0, 3.0, 3.0, 2.0]
    assert [trial["score"] for trial in found["trials"]] == [3.0, None, 4.0, None, 2.0]
    assert [trial["best"] for trial in trial_scores("r2", trials)["trials"]] == [3.0, 3.0, 4.0, 4.0, 4.0]
    assert trial_scores("mae", trials[1:2]) is None


def test_the_window_tells_missing_partitions_nulls_and_ranges():
    days = np.repeat(np.delete(DAYS, [4, 5]), 10)
    rows = len(days)
    features = pd.DataFrame(
        {
            "number": np.arange(float(rows)),
            "holes": np.where(np.arange(rows) % 4 == 0, np.nan, 1.0),
            "text": np.where(np.arange(rows) < 250, "old", "new"),
            "when": pd.date_range("2024-01-01", periods=rows, freq="h"),
            "flag": np.arange(rows) % 2 == 0,
        }
    )
    data = training_set(features, np.arange(float(rows)), days)
    model = DummyRegressor().fit(features, data.target)
    window = explained(spec_of("regression", "mae"), data, model)["window"]
    known, held = int((~data.holdout).sum()), int(data.holdout.sum())
    assert (window["known"], window["held"]) == (known, held)
    assert window["missing"] == {"count": 2, "first": ["2024-01-05", "2024-01-06"]}
    assert [entry["rows"] for entry in window["over_time"]] == [10] * 28
    told = {entry["name"]: entry for entry in window["features"]}
    assert (told["number"]["low"], told["number"]["high"], told["number"]["beyond"]) == (0.0, known - 1, 1.0)
    assert told["holes"]["nulls"] == pytest.approx(0.25, abs=0.01)
    assert told["text"]["values"] == ["old"]
    assert told["text"]["beyond"] == pytest.approx(30 / held, abs=1e-4)
    assert told["when"]["low"].startswith("2024-01-01")
    assert told["flag"]["beyond"] == 0
    assert window["target"]["quartiles"]["known"]["max"] == known - 1
    assert sum(window["target"]["counts"]["known"]) == known
    assert sum(window["target"]["counts"]["held"]) == held


def test_classes_are_counted_in_training_and_hold_out():
    target = ["a"] * 200 + ["b"] * 60 + ["c"] * 40
    data = training_set(numbers(300), target)
    model = LogisticRegression().fit(data.features, data.target)
    found = explained(spec_of("classification", "accuracy"), data, model)
    assert found["window"]["over_time"] is None
    assert found["window"]["target"]["classes"] == [
        {"name": "a", "known": 200, "held": 0},
        {"name": "b", "known": 0, "held": 60},
        {"name": "c", "known": 0, "held": 40},
    ]


def test_predictions_that_are_no_numbers_end_in_no_figure_and_no_error():
    features = numbers(300)
    data = training_set(features, features["x0"].to_numpy(), np.repeat(DAYS, 10))

    class Lost(DummyRegressor):
        def predict(self, X):  # noqa: N803
            return np.full(len(X), np.nan)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = explained(spec_of("regression", "mae"), data, fitted(Lost(), data))
    assert found["importance"] is None
    assert found["residuals"]["histogram"] is None


def test_a_sample_keeps_rows_and_predictions_together():
    features = numbers(900)
    data = training_set(features, features["x0"].to_numpy(), np.repeat(DAYS, 30))
    held = HeldRows.of(spec_of("regression", "mae"), data, fitted(LinearRegression(), data))
    some = held.some(50, seed=1)
    assert len(some) == 50
    assert some.features["x0"].to_numpy() == pytest.approx(some.predictions.labels)
    assert list(some.partitions) == sorted(some.partitions)
