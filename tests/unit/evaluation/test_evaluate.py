from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.tree import DecisionTreeClassifier

from evergreen.calendar import Grain, Length
from evergreen.candidates.fit import Challenger
from evergreen.errors import SpecError
from evergreen.evaluation.champion import Champion
from evergreen.evaluation.evaluate import Evaluation, evaluate, positions
from evergreen.evaluation.gate import judge
from evergreen.evaluation.verdict import Outcome
from evergreen.registry.model_file import dump_model
from evergreen.spec import Spec
from evergreen.training_set.assemble import TrainingSet

DAYS = [f"2024-01-{day:02}" for day in range(1, 21)]


def spec_of(task: str, metric: str, gate: dict | None = None) -> Spec:
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
            "gate": gate or {},
            "folder": Path("sales"),
        }
    )


def training_set(
    partitions, features, target, holdout, as_of="2024-01-21", weights=None, **columns
) -> TrainingSet:
    rows = pd.DataFrame({"partition": partitions, **columns})
    return TrainingSet(as_of, f"{as_of}-x", rows, features, target, np.asarray(holdout), {}, weights)


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
    assert found.clauses == ("mae 2 on 8 hold-out rows", "dummy baseline 10", "no champion yet")


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
    assert "champion old" in found.clauses[-1]


def test_a_champion_of_other_features_has_a_problem_and_no_metrics(daily):
    other = pd.DataFrame({"x": [0.0, 1.0], "gone": [0.0, 1.0]})
    champion = Champion("old", "2024-01-05", LinearRegression().fit(other, [0.0, 1.0]))
    challenger = challenger_of(constant(16.5, daily.features))
    spec = spec_of("regression", "mae", {"approval": {}, "slices": [{"column": "half", "minimum": 2}]})
    daily = replace(daily, rows=daily.rows.assign(half=np.arange(20) % 2))
    found = evaluate(spec, daily, challenger, champion)
    assert found.champion["metrics"] is None
    assert "gone" in found.champion["problem"]
    assert found.comparison is None
    assert [(result.rows, result.comparison) for result in found.slices] == [(4, None), (4, None)]
    assert judge(spec, found).outcome is Outcome.INCONCLUSIVE
    assert not judge(spec_of("regression", "mae"), found).needs_approval


def test_a_champion_that_cannot_be_used_is_not_asked_to_predict(daily):
    champion = Champion("old", "2024-01-05", None, "its file is damaged: restore it from a backup")
    found = evaluate(
        spec_of("regression", "mae"), daily, challenger_of(constant(16.5, daily.features)), champion
    )
    assert found.champion["metrics"] is found.comparison is None
    assert found.champion["problem"] == "its file is damaged: restore it from a backup"


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


class Counted:
    """A model that counts how often it is asked."""

    def __init__(self, model) -> None:
        self.model, self.asked = model, 0

    def predict(self, features):
        self.asked += 1
        return self.model.predict(features)


def months(shift: float = 0.0, **more) -> TrainingSet:
    """Sixty days of ten rows; the last thirty days are held out; two shops, of which `b` sells 100 more."""
    random = np.random.default_rng(4)
    days = [str(day.date()) for day in pd.date_range("2024-01-01", periods=60)]
    shop = np.tile(list("aaaaaaabbb"), 60)
    features = pd.DataFrame({"x": random.normal(0, 3, 600), "late": np.repeat(np.arange(60) % 3, 10)})
    target = pd.Series(50 + features["x"] + 100 * (shop == "b") + random.normal(0, 1, 600) + shift)
    partitions = np.repeat(days, 10)
    return training_set(partitions, features, target, partitions > "2024-01-30", shop=shop, **more)


def offset(data: TrainingSet, by: float):
    """A model that knows all but noise, and is off by so much in shop `b`."""
    exact = data.features.assign(b=data.rows["shop"] == "b")
    return _Offset(exact, by)


class _Offset:
    def __init__(self, exact: pd.DataFrame, by: float) -> None:
        self.exact, self.by = exact, by

    def predict(self, features):
        rows = self.exact.loc[features.index]
        return (50 + rows["x"] + (100 + self.by) * rows["b"]).to_numpy()


def test_both_models_predict_once_for_all_that_is_measured():
    data = months()
    gate = {
        "slices": ["shop", "late"],
        "fairness": [{"column": "shop", "metric": "rmse", "max_difference": 1}],
    }
    own, theirs = Counted(offset(data, 1.0)), Counted(offset(data, 0.0))
    challenger = Challenger(own, offset(data, 0.0), {}, [])
    found = evaluate(
        spec_of("regression", "mae", gate), data, challenger, Champion("old", "2024-02-10", theirs)
    )
    assert (own.asked, theirs.asked) == (1, 1)
    assert len(found.slices) == 5
    assert len(found.fairness) == 1


def test_a_challenger_that_loses_in_one_slice_alone_is_refused_for_it():
    data = months()
    spec = spec_of("regression", "mae", {"champion": {"margin": "300%"}, "slices": ["shop"]})
    champion = Champion("old", "2024-01-31", offset(data, 0.0))
    good = evaluate(spec, data, challenger_of(offset(data, 0.0)), champion)
    assert judge(spec, good).promote
    found = evaluate(spec, data, challenger_of(offset(data, 3.0)), champion)
    by_value = {result.value: result for result in found.slices}
    assert (by_value["a"].rows, by_value["b"].rows) == (210, 90)
    assert by_value["a"].comparison.loss == pytest.approx(0.0)
    error = np.abs(data.target - offset(data, 3.0).predict(data.features))
    wanted = data.holdout & (data.rows["shop"] == "b").to_numpy()
    assert by_value["b"].comparison.challenger == pytest.approx(error[wanted].mean())
    assert by_value["b"].comparison.blocks == 30
    failed = [check.name for check in judge(spec, found).checks if not check.passed]
    assert failed == ["slice shop=b"]


def test_rows_of_a_partition_are_resampled_together_and_rows_without_time_alone():
    data = months()
    spec = spec_of("regression", "mae", {"champion": {"block": "7 partitions", "rounds": 200}})
    found = evaluate(
        spec, data, challenger_of(offset(data, 1.0)), Champion("old", "2024-02-20", offset(data, 0.0))
    )
    # From the 20th to the 29th of February are ten partitions, in which there is one block of seven.
    assert (found.comparison.rows, found.comparison.blocks, found.comparison.rounds) == (100, 1, 200)
    assert math.isnan(found.comparison.high)
    whole = evaluate(
        spec, data, challenger_of(offset(data, 1.0)), Champion("old", "2024-01-31", offset(data, 0.0))
    )
    assert whole.comparison.blocks == 4
    assert math.isfinite(whole.comparison.high)
    shuffled = np.random.default_rng(0).permutation(600)
    taken = replace(
        data,
        rows=data.rows.iloc[shuffled].reset_index(drop=True),
        features=data.features.iloc[shuffled].reset_index(drop=True),
        target=data.target.iloc[shuffled].reset_index(drop=True),
        holdout=data.holdout[shuffled],
    )
    same = evaluate(
        spec, taken, challenger_of(offset(taken, 1.0)), Champion("old", "2024-01-31", offset(taken, 0.0))
    )
    assert same.comparison.high == pytest.approx(whole.comparison.high)


def test_the_hours_of_a_day_are_one_position():
    spec = spec_of("regression", "mae").model_copy(update={"partition": Grain.HOURLY})
    partitions = pd.Series(["2024-01-01T06", "2024-01-02T05", "2024-01-02T06", "2024-01-04T06"])
    assert positions(spec, partitions).tolist() == [0, 0, 1, 3]
    champion = spec.gate.champion.model_copy(update={"block": Length(30)})
    gate = spec.gate.model_copy(update={"champion": champion})
    assert spec.champion_rule.block.count == 1
    assert spec.model_copy(update={"gate": gate}).champion_rule.block.count == 2


def test_positions_in_time_count_the_partitions_that_are_not_there():
    spec = spec_of("regression", "mae")
    partitions = pd.Series(["2024-02-28", "2024-03-02", "2024-02-28", "2024-02-29"])
    assert positions(spec, partitions).tolist() == [0, 3, 0, 1]
    assert positions(spec_of("classification", "accuracy"), pd.Series(["snapshot"])) is None


def test_intervals_hold_the_values_they_are_of():
    data = months()
    found = evaluate(spec_of("regression", "mae"), data, challenger_of(offset(data, 2.0)), None)
    assert set(found.intervals) == set(found.challenger)
    for name, interval in found.intervals.items():
        assert interval.low <= found.challenger[name] <= interval.high


def test_without_a_champion_slices_are_counted_on_the_whole_holdout():
    data = months()
    spec = spec_of("regression", "mae", {"slices": [{"column": "shop", "required": ["a", "c"]}]})
    found = evaluate(spec, data, challenger_of(offset(data, 0.0)), None)
    assert [(result.value, result.rows, result.comparison) for result in found.slices] == [
        ("a", 210, None),
        ("b", 90, None),
        ("c", 0, None),
    ]
    assert [check.name for check in judge(spec, found).checks if not check.passed] == ["slice shop=c"]


def test_groups_are_measured_on_the_whole_holdout():
    data = months()
    rule = {"column": "shop", "metric": "rmse", "max_difference": 2.0}
    spec = spec_of("regression", "mae", {"fairness": [rule]})
    found = evaluate(spec, data, challenger_of(offset(data, 4.0)), None)
    error = data.target - offset(data, 4.0).predict(data.features)
    by_hand = {
        shop: math.sqrt((error[data.holdout & (data.rows["shop"] == shop).to_numpy()] ** 2).mean())
        for shop in "ab"
    }
    (fairness,) = found.fairness
    assert {group.value: group.metric for group in fairness.groups} == pytest.approx(by_hand)
    assert [check.name for check in judge(spec, found).checks if not check.passed] == [
        "fairness rmse by shop"
    ]


def test_a_column_that_is_nowhere_is_named():
    data = months()
    rule = {"column": "gone", "metric": "mae", "max_difference": 2.0}
    for gate, where in (
        ({"slices": ["shop", "gone"]}, "gate.slices.1.column"),
        ({"fairness": [rule]}, "gate.fairness.0.column"),
    ):
        with pytest.raises(SpecError, match=where):
            evaluate(spec_of("regression", "mae", gate), data, challenger_of(offset(data, 0.0)), None)


def test_the_weights_of_rows_count_in_the_metrics():
    weights = np.repeat([1.0, 2.0, 1.0, 3.0], [11, 1, 4, 4])
    data = training_set(
        DAYS,
        pd.DataFrame({"x": np.arange(20.0)}),
        pd.Series(np.arange(1.0, 21.0)),
        [day > "2024-01-12" for day in DAYS],
        weights=weights,
    )
    found = evaluate(spec_of("regression", "mae"), data, challenger_of(constant(12.0, data.features)), None)
    # Held out are 13..20: 1 to 8 too low, the last four counted three times.
    assert found.challenger["mae"] == pytest.approx((1 + 2 + 3 + 4 + 3 * (5 + 6 + 7 + 8)) / 16)
    assert found.intervals["mae"].low < found.challenger["mae"] < found.intervals["mae"].high
    # The dummy has learnt 7 from 1..12, of which the last counts twice.
    assert found.baseline["mae"] == pytest.approx(found.challenger["mae"] + 5)


def two_classes(gate=None):
    random = np.random.default_rng(2)
    features = pd.DataFrame({"x": random.normal(0, 2, 1_000)})
    target = pd.Series(np.where(random.random(1_000) < 1 / (1 + np.exp(-features["x"])), "yes", "no"))
    held = np.arange(1_000) % 2 == 0
    data = training_set(["snapshot"] * 1_000, features, target, held, "snapshot")
    return spec_of("classification", "accuracy", gate), data


def test_calibration_is_that_of_the_probabilities_on_the_holdout():
    spec, data = two_classes({"calibration": 0.1})
    known = ~data.holdout
    honest = LogisticRegression().fit(data.features[known], data.target[known])
    boastful = DecisionTreeClassifier(random_state=0).fit(data.features[known], data.target[known])
    found = evaluate(spec, data, challenger_of(honest), None)
    assert found.calibration < 0.1
    assert judge(spec, found).promote
    refused = evaluate(spec, data, challenger_of(boastful), None)
    assert refused.calibration > 0.1
    assert "calibration" in [check.name for check in judge(spec, refused).checks if not check.passed]


def test_a_classifier_without_probabilities_has_no_metrics_of_them_and_may_pass():
    spec, data = two_classes()
    model = RidgeClassifier().fit(data.features[~data.holdout], data.target[~data.holdout])
    found = evaluate(spec, data, challenger_of(model), None)
    assert set(found.challenger) == {"accuracy", "precision", "recall", "f1"}
    assert found.calibration is None
    assert judge(spec, found).promote
    asked, _ = two_classes({"calibration": 0.1})
    assert not judge(asked, found).promote


def test_a_holdout_of_one_class_has_no_curves_and_refuses_no_one_for_it():
    spec, data = two_classes()
    data = training_set(
        ["snapshot"] * 1_000, data.features, data.target, data.holdout & (data.target == "yes"), "snapshot"
    )
    model = LogisticRegression().fit(data.features[~data.holdout], data.target[~data.holdout])
    found = evaluate(spec, data, challenger_of(model), None)
    assert math.isnan(found.challenger["roc_auc"])
    finite = judge(spec, found).checks[0]
    assert finite.passed
    assert "roc_auc" in finite.detail


def test_resources_are_those_of_the_model_that_will_serve():
    spec, data = two_classes({"resources": {"size": "1 MB"}})
    known = ~data.holdout
    small = LogisticRegression().fit(data.features[known], data.target[known])
    large = RandomForestClassifier(5, random_state=0).fit(data.features, data.target)
    found = evaluate(spec, data, Challenger(small, large, {}, []), None)
    assert found.resources.size == len(dump_model(large))
    assert found.resources.row is None
    assert evaluate(two_classes()[0], data, challenger_of(small), None).resources is None


def test_an_evaluation_comes_back_from_json_as_it_was():
    data = months()
    gate = {
        "slices": [{"column": "shop", "required": ["c"]}],
        "fairness": [{"column": "shop", "metric": "mae", "max_difference": 1}],
        "resources": {"latency": {"row": 5}},
    }
    champion = Champion("old", "2024-02-10", offset(data, 0.0))
    found = evaluate(spec_of("regression", "mae", gate), data, challenger_of(offset(data, 1.0)), champion)
    assert found.comparison is not None
    assert found.resources is not None
    assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found
    without = evaluate(spec_of("regression", "mae"), data, challenger_of(offset(data, 1.0)), None)
    assert Evaluation.from_dict(json.loads(json.dumps(without.to_dict(), allow_nan=False))) == without


def test_an_evaluation_of_before_there_was_more_than_metrics_is_still_read():
    before = Evaluation("mae", {"mae": 1.0}, {"mae": 2.0}, None, None, 1, 0)
    names = ("intervals", "comparison", "slices", "fairness", "calibration", "resources")
    written = {name: value for name, value in before.to_dict().items() if name not in names}
    assert Evaluation.from_dict(written) == before


def test_nan_becomes_null_in_json_and_nan_again():
    metrics = {"mae": math.nan, "rmse": 1.0}
    written = Evaluation("mae", metrics, {}, None, None, 1, 0).to_dict()
    assert written["challenger"] == {"mae": None, "rmse": 1.0}
    back = Evaluation.from_dict(json.loads(json.dumps(written, allow_nan=False)))
    assert math.isnan(back.challenger["mae"])


@pytest.mark.parametrize("metric", ["f1", "accuracy"])
def test_labels_drawn_at_random_give_no_first_champion(metric):
    """R2: three classes, 200 rows; by macro F1 5 of 6 draws were promoted, by accuracy 1 of 6."""
    promoted = 0
    for seed in range(12):
        random = np.random.default_rng(seed)
        features = pd.DataFrame(random.normal(size=(200, 4)), columns=list("abcd"))
        target = pd.Series(random.choice(["x", "y", "z"], 200))
        held = np.arange(200) >= 160
        model = DecisionTreeClassifier(random_state=0).fit(features[~held], target[~held])
        data = training_set(["snapshot"] * 200, features, target, held, as_of="snapshot")
        spec = spec_of("classification", metric)
        promoted += judge(spec, evaluate(spec, data, challenger_of(model), None)).promote
    assert promoted == 0


def test_what_has_learnt_something_becomes_the_first_champion():
    random = np.random.default_rng(1)
    features = pd.DataFrame(random.normal(size=(200, 2)), columns=["a", "b"])
    target = pd.Series(np.where(features["a"] + 0.5 * random.normal(size=200) > 0, "x", "y"))
    held = np.arange(200) >= 160
    model = LogisticRegression().fit(features[~held], target[~held])
    data = training_set(["snapshot"] * 200, features, target, held, as_of="snapshot")
    for metric in ("f1", "accuracy", "pr_auc", "log_loss"):
        spec = spec_of("classification", metric)
        found = evaluate(spec, data, challenger_of(model), None)
        assert judge(spec, found).promote, metric
        assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_first_model_that_follows_a_level_its_few_rows_do_not_order_is_plainly_better():
    """A total a day, seven days held out, and no order within them to be right about."""
    random = np.random.default_rng(0)
    level = np.repeat(np.arange(10.0), 7)
    features = pd.DataFrame({"level": level})
    target = pd.Series(10 * level + random.normal(size=70))
    held = np.arange(70) >= 63
    model = LinearRegression().fit(features[~held], target[~held])
    days = [f"2024-{1 + day // 28:02}-{1 + day % 28:02}" for day in range(70)]
    data = training_set(days, features, target, held, as_of=days[-1])
    spec = spec_of("regression", "mae")
    found = evaluate(spec, data, challenger_of(model), None)
    assert found.chance.probability > 0.025
    assert judge(spec, found).promote
