"""The error of a partition, of its slices, and of the partitions of a hold-out."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from evergreen.errors import SpecError
from evergreen.metrics import metrics_of
from evergreen.metrics.predictions import Predictions
from evergreen.monitoring.performance import (
    FEWEST_ROWS,
    MOST_VALUES,
    OTHER,
    by_partition,
    labelled_rows,
    night_metrics,
    promised_slices,
    slice_errors,
)
from evergreen.spec import Spec, Task, parse_spec
from evergreen.spec.decision import DecisionRule
from tests.campaign import examples
from tests.unit.metrics.compute import COSTS, mean_cost

TESTS = Path(__file__).parents[2]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml")
IRIS = parse_spec(TESTS.parent / "include" / "pipelines" / "iris" / "pipeline.yaml")
WINE = parse_spec(TESTS.parent / "include" / "pipelines" / "wine_segments" / "pipeline.yaml")
QUANTILES = (5, 10, 25, 75, 90, 95)


def names(task: Task) -> list[str]:
    return [metric.name for metric in metrics_of(task)]


def described(spec: Spec = KIOSK, metric: str | None = None, slices: tuple[str, ...] = ()) -> Spec:
    performance = spec.monitoring.performance.model_copy(update={"slices": slices})
    costs = DecisionRule(costs=COSTS) if spec.task is Task.CLASSIFICATION else None
    training = {"metric": metric or spec.training.metric, "decision": costs}
    return spec.model_copy(
        update={
            "training": spec.training.model_copy(update=training),
            "monitoring": spec.monitoring.model_copy(update={"performance": performance}),
        }
    )


def table(prediction: Any, actual: Any, probability: Any = None) -> pd.DataFrame:
    """Published predictions; `probability` is that of the class `b`."""
    columns = {} if probability is None else {"probability": probability}
    return pd.DataFrame({"prediction": prediction, **columns, "actual": actual})


def night(spec: Spec, predictions: pd.DataFrame) -> dict[str, Any]:
    """The training metric of the known rows, as it is recorded."""
    known = predictions["actual"].notna().to_numpy()
    rows = labelled_rows(spec, predictions, known, ("a", "b"))
    return night_metrics(spec, rows, {})[spec.training.metric]


def error(spec: Spec, predictions: pd.DataFrame) -> float | None:
    return night(spec, predictions)["value"]


# --- the error of a partition ---


def test_the_error_by_hand() -> None:
    assert error(KIOSK, table([10.0, 20.0], [13.0, 15.0])) == 4.0


def test_rows_without_a_label_do_not_count() -> None:
    assert error(KIOSK, table([10.0, 20.0], [np.nan, 15.0])) == 5.0
    assert error(KIOSK, table([10.0, 20.0], [np.nan, np.nan])) is None
    assert error(KIOSK, table([], [])) is None


def test_labels_of_any_type_of_a_column() -> None:
    counts = table(pd.array([1, 2, 2], dtype="Int64"), pd.array([1, None, 3], dtype="Int64"))
    assert error(KIOSK, counts) == 0.5
    texts = table(pd.array(["a", "b", "b"], dtype="string"), pd.array(["a", None, "a"], dtype="string"))
    assert error(described(IRIS, "accuracy"), texts) == 0.5


@pytest.mark.parametrize("metric", names(Task.REGRESSION))
def test_regression_is_as_scikit_learn_has_it(metric: str) -> None:
    draw = np.random.default_rng(0)
    actual = draw.normal(100, 30, 24)
    predicted = actual + draw.normal(0, 5, 24)
    scorer = {
        "mae": sk.mean_absolute_error,
        "rmse": sk.root_mean_squared_error,
        "mape": sk.mean_absolute_percentage_error,
        **{
            f"pinball_{percent:02d}": partial(sk.mean_pinball_loss, alpha=percent / 100)
            for percent in (5, 10, 25, 75, 90, 95)
        },
        "r2": sk.r2_score,
        **{
            f"pinball_{at:02}": partial(sk.mean_pinball_loss, alpha=at / 100)
            for at in (5, 10, 25, 75, 90, 95)
        },
    }[metric]
    assert error(described(metric=metric), table(predicted, actual)) == pytest.approx(
        scorer(actual, predicted)
    )


@pytest.mark.parametrize("metric", names(Task.CLASSIFICATION))
def test_classification_is_as_scikit_learn_has_it(metric: str) -> None:
    chance = np.arange(8) / 10
    actual = np.array(list("aababbab"))
    predicted = np.array(list("aaaaabbb"))
    macro = {"average": "macro", "zero_division": 0}
    expected = {
        "cost": lambda: mean_cost(actual, predicted, "ab"),
        "accuracy": lambda: sk.accuracy_score(actual, predicted),
        "precision": lambda: sk.precision_score(actual, predicted, **macro),
        "recall": lambda: sk.recall_score(actual, predicted, **macro),
        "f1": lambda: sk.f1_score(actual, predicted, **macro),
        "roc_auc": lambda: sk.roc_auc_score(actual == "b", chance),
        "pr_auc": lambda: sk.average_precision_score(actual == "b", chance),
        "log_loss": lambda: sk.log_loss(actual == "b", np.clip(chance, 1e-15, 1)),
        "brier": lambda: sk.brier_score_loss(actual == "b", chance),
    }[metric]()
    found = error(described(IRIS, metric), table(predicted, actual, chance))
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("chance", [None, [math.nan, math.nan]])
def test_a_metric_of_probabilities_needs_published_ones(chance: Any) -> None:
    assert error(described(IRIS, "log_loss"), table(list("ab"), list("ab"), chance)) is None


def test_what_cannot_be_computed_is_none() -> None:
    assert error(described(metric="r2"), table([1.0], [1.0])) is None
    assert error(KIOSK, table([np.inf, 1.0], [1.0, 1.0])) is None
    assert error(described(IRIS, "roc_auc"), table(list("ab"), list("aa"), [0.1, 0.9])) is None
    assert error(WINE, table([0, 1], [0, 1])) is None


@pytest.mark.parametrize(
    ("spec", "predictions", "why"),
    [
        (described(metric="r2"), table([1.0], [1.0]), "one row only"),
        (KIOSK, table([np.inf, 1.0], [1.0, 1.0]), "a prediction is not finite"),
        (described(IRIS, "roc_auc"), table(list("ab"), list("aa"), [0.1, 0.9]), "one class only"),
        (KIOSK, table([1.0], [1.0]), None),
    ],
)
def test_a_night_says_why_it_is_not_measured(spec: Spec, predictions: pd.DataFrame, why: str | None) -> None:
    assert night(spec, predictions)["undefined"] == why


def test_further_metrics_are_measured_beside_the_training_metric() -> None:
    spec = described(IRIS, "roc_auc")
    watched = spec.monitoring.model_copy(update={"metrics": ("recall", "log_loss")})
    spec = spec.model_copy(update={"monitoring": watched})
    predictions = table(list("aabb"), list("abab"), [0.1, 0.4, 0.6, 0.8])
    rows = labelled_rows(spec, predictions, np.ones(4, dtype=bool), ("a", "b"))
    found = night_metrics(spec, rows, {"recall": 0.9, "log_loss": math.inf})
    assert list(found) == ["roc_auc", "recall", "log_loss"]
    assert found["roc_auc"]["value"] == pytest.approx(sk.roc_auc_score([0, 1, 0, 1], [0.1, 0.4, 0.6, 0.8]))
    assert (found["recall"]["value"], found["recall"]["promised"]) == (0.5, 0.9)
    assert found["log_loss"]["promised"] is None


# --- slices ---


def slices(
    rows: dict[str, Any], predictions: pd.DataFrame, promised: Any = None, spec: Spec | None = None
) -> dict[str, dict[str, Any]]:
    frame = pd.DataFrame(rows)
    spec = spec or described(slices=tuple(frame.columns))
    known = predictions["actual"].notna().to_numpy()
    rows = labelled_rows(spec, predictions, known, ("a", "b"))
    return slice_errors(spec, frame[known], rows, promised or {})


def part(value: float) -> dict[str, Any]:
    return {"value": value, "undefined": None, "kept": None}


TEN = table([10.0] * 10, [11.0] * 5 + [13.0] * 5)


def test_slices_by_hand() -> None:
    promised = {"open=1": {"mae": 2.0}, "open=0": {"rmse": 4.0}, "open=2": {"mae": 3.0}}
    assert slices({"open": [1] * 5 + [0] * 5}, TEN, promised) == {
        "open=1": {"rows": 5, "error": 1.0, "promised": 2.0, "too_few": False, **part(1.0)},
        "open=0": {"rows": 5, "error": 3.0, "promised": None, "too_few": False, **part(3.0)},
    }


def test_a_slice_of_too_few_rows_says_so() -> None:
    found = slices({"open": [1] * 6 + [0] * 4}, TEN, {"open=0": {"mae": 2.0}})
    # What is kept of it counts with that of other nights.
    assert found["open=0"] == {"rows": 4, "error": None, "promised": 2.0, "too_few": True, **part(3.0)}
    assert found["open=1"]["error"] == pytest.approx((5 * 1 + 3) / 6)


def test_only_known_rows_count_in_a_slice() -> None:
    some = table([10.0] * 10, [11.0] * 5 + [np.nan] * 5)
    assert slices({"open": [1] * 5 + [0] * 5}, some).keys() == {"open=1"}
    assert slices({"open": [1] * 10}, table([1.0] * 10, [np.nan] * 10)) == {}


def test_several_columns_and_missing_values() -> None:
    found = slices({"open": [True] * 10, "sky": ["sun"] * 5 + [None] * 5}, TEN)
    assert {name: content["error"] for name, content in found.items()} == {
        "open=true": 2.0,
        "sky=sun": 1.0,
        "sky=missing": 3.0,
    }


def test_numbers_are_written_alike_in_columns_of_other_types() -> None:
    whole = slices({"n": [1] * 10}, TEN)
    real = slices({"n": np.array([1.0] * 9 + [np.nan])}, TEN)
    assert list(whole) == ["n=1"]
    assert set(real) == {"n=1", "n=missing"}
    assert list(slices({"n": np.array([1, 1.0, "1", "1", 1, 1, 1, 1, 1, 1], dtype=object)}, TEN)) == ["n=1"]


def many(values: int, each: int = FEWEST_ROWS) -> tuple[dict[str, Any], pd.DataFrame]:
    """So many values of a column, one more row of each than of the one before."""
    codes = np.concatenate([np.full(each + number, number) for number in range(values)])
    return {"shop": codes}, table(np.zeros(len(codes)), codes.astype(float))


def test_the_most_frequent_values_have_slices_and_the_rest_is_one() -> None:
    found = slices(*many(25))
    assert len(found) == MOST_VALUES + 1
    assert {f"shop={number}" for number in range(5, 25)} | {f"shop={OTHER}"} == set(found)
    rest = found[f"shop={OTHER}"]
    rows = np.arange(FEWEST_ROWS, FEWEST_ROWS + 5)
    assert rest["rows"] == rows.sum()
    assert rest["error"] == pytest.approx((rows * np.arange(5)).sum() / rows.sum())


def test_what_was_promised_comes_before_what_is_frequent() -> None:
    promised = {"shop=0": {"mae": 7.0}, f"shop={OTHER}": {"mae": 9.0}, "shopping=3": {"mae": 1.0}}
    found = slices(*many(25), promised)
    assert found["shop=0"]["promised"] == 7.0
    assert found[f"shop={OTHER}"]["promised"] == 9.0
    assert "shop=5" not in found  # the least frequent of the 20 gave way
    assert len(found) == MOST_VALUES + 1


@settings(max_examples=examples(50), deadline=None)
@given(
    st.lists(st.sampled_from([*range(30), None]), min_size=1, max_size=200),
    st.sets(st.integers(0, 29), max_size=30),
)
def test_every_known_row_is_in_one_slice_of_a_column(values: list[Any], named: set[int]) -> None:
    predictions = table(np.zeros(len(values)), np.arange(len(values), dtype=float))
    promised = {f"v={value}": {"mae": 1.0} for value in named}
    found = slices({"v": pd.array(values, dtype="Int64")}, predictions, promised)
    assert sum(content["rows"] for content in found.values()) == len(values)
    assert len(found) <= MOST_VALUES + 1
    for content in found.values():
        assert content["too_few"] == (content["rows"] < FEWEST_ROWS) == (content["error"] is None)


def test_slices_of_a_metric_of_probabilities() -> None:
    spec = described(IRIS, "brier", ("side",))
    chance = np.arange(10.0) / 10
    labels = table(list("aaaaabbbbb"), list("aabaaabbbb"), chance)
    found = slices({"side": ["l"] * 5 + ["r"] * 5}, labels, spec=spec)
    true = labels["actual"] == "b"
    assert found["side=l"]["error"] == pytest.approx(sk.brier_score_loss(true[:5], chance[:5]))
    assert found["side=r"]["error"] == pytest.approx(sk.brier_score_loss(true[5:], chance[5:], pos_label=1))


def test_no_slices_are_asked_for() -> None:
    assert slices({"a": range(10)}, TEN, spec=KIOSK) == {}


def test_a_column_that_is_nowhere_is_refused_by_name() -> None:
    spec = described(slices=("closed",))
    with pytest.raises(
        SpecError, match=r"monitoring\.performance\.slices: the rows have no column 'closed': .*open"
    ):
        slices({"open": range(10)}, TEN, spec=spec)


# --- what the hold-out promises ---


def test_slices_of_the_hold_out_by_hand() -> None:
    rows = pd.DataFrame({"open": [1] * 5 + [0] * 6 + [2]})
    actual = pd.Series([11.0] * 5 + [13.0] * 6 + [50.0])
    spec = described(slices=("open",))
    promised = promised_slices(spec, rows, actual, Predictions(np.full(12, 10.0)))
    assert promised == {"open=0": {"mae": 3.0}, "open=1": {"mae": 1.0}, "open=2": {"mae": None}}
    later = slices({"open": rows["open"][:10]}, TEN, promised, spec=spec)
    assert {name: content["promised"] for name, content in later.items()} == {"open=0": 3.0, "open=1": 1.0}
    assert promised_slices(WINE, rows, None, Predictions(np.zeros(12))) == {}


def test_the_promise_day_by_day() -> None:
    days = pd.Series(["2024-01-02", "2024-01-01", "2024-01-02", "2024-01-01"])
    found = by_partition(
        KIOSK, days, [10.0, 20.0, 30.0, 40.0], Predictions(np.array([11.0, 22.0, 33.0, 44.0]))
    )
    assert found == {"2024-01-01": 3.0, "2024-01-02": 2.0}
    assert list(found) == sorted(found)


@pytest.mark.parametrize("metric", names(Task.CLASSIFICATION))
def test_the_promise_day_by_day_is_what_the_error_of_the_day_would_be(metric: str) -> None:
    draw = np.random.default_rng(3)
    spec = described(IRIS.model_copy(update={"partition": KIOSK.partition}), metric)
    days = np.repeat([f"2024-01-{day:02d}" for day in range(1, 8)], 20)
    x = draw.integers(0, 10, 140).astype(float)
    actual = np.where(draw.random(140) * 10 < x, "b", "a")
    labels, chance = np.where(x > 4, "b", "a"), x / 10
    predicted = Predictions(labels, np.column_stack([1 - chance, chance]), ("a", "b"))
    found = by_partition(spec, days, actual, predicted)
    assert len(found) == 7
    for day in np.unique(days):
        same = days == day
        alone = error(spec, table(labels[same], actual[same], chance[same]))
        assert found[day] == pytest.approx(alone, rel=1e-12)


def test_a_partition_without_a_metric_is_left_out() -> None:
    days = np.repeat(["2024-01-01", "2024-01-02", "2024-01-03"], [1, 3, 2])
    found = by_partition(described(metric="r2"), days, np.arange(6.0), Predictions(np.arange(6.0)))
    assert found == {"2024-01-02": 1.0, "2024-01-03": 1.0}


def test_a_prediction_that_is_not_finite_costs_its_own_partition_alone() -> None:
    days = np.repeat(["2024-01-01", "2024-01-02", "2024-01-03"], 2)
    wild = Predictions(np.array([1.0, np.inf, 1.0, 2.0, np.nan, 1.0]))
    for metric in names(Task.REGRESSION):
        found = by_partition(described(metric=metric), days, np.arange(6.0) + 1, wild)
        assert list(found) == ["2024-01-02"]
    chances = np.array([[np.inf, 0.2], [0.5, 0.5], [0.9, 0.1], [0.2, 0.8], [np.nan, 1.0], [0.3, 0.7]])
    sure = Predictions(np.array(list("ababab")), chances, ("a", "b"))
    spec = IRIS.model_copy(update={"partition": KIOSK.partition})
    for metric in ("log_loss", "brier", "roc_auc", "pr_auc"):
        assert list(by_partition(described(spec, metric), days, np.array(list("ababab")), sure)) == [
            "2024-01-02"
        ]


def test_there_are_no_partitions_of_a_snapshot_or_of_clusters() -> None:
    assert by_partition(IRIS, ["snapshot"] * 2, ["a", "b"], Predictions(np.array(["a", "a"]))) == {}
    assert by_partition(KIOSK, ["2024-01-01"], None, Predictions(np.zeros(1))) == {}
