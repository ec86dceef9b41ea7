"""What each partition keeps gives the metric of the rows of all of them, as scikit-learn has it."""

from __future__ import annotations

import json
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from evergreen.metrics import METRICS, metric_named, metrics_of
from evergreen.metrics.curve import CELLS
from evergreen.metrics.measured import Measured, measured
from evergreen.metrics.part import Part
from evergreen.task import Task
from tests.campaign import examples
from tests.unit.metrics.compute import COSTS, mean_cost

LABELLED = [metric.name for task in (Task.REGRESSION, Task.CLASSIFICATION) for metric in metrics_of(task)]


def parts_of(rows: Measured, partition: np.ndarray, name: str) -> list[Part]:
    """What is kept of each partition, as it comes back from JSON."""
    found = [rows.taken(partition == number).part(name) for number in np.unique(partition)]
    assert all(part is not None for part in found)
    return [Part(part.rows, part.value, json.loads(json.dumps(part.kept, allow_nan=False))) for part in found]


def expected(name: str, actual, predicted, probabilities, classes) -> float:
    """The metric by scikit-learn, of rows from any number of partitions."""
    two = probabilities is not None and probabilities.shape[1] == 2
    truth = np.asarray(actual)[:, None] == np.asarray(classes)[None] if classes else None
    macro = {"average": "macro", "zero_division": 0}
    there = [] if truth is None else [1] if two else np.flatnonzero(truth.any(axis=0))

    def area(score) -> float:
        return float(np.mean([score(truth[:, place], probabilities[:, place]) for place in there]))

    return {
        "mae": lambda: sk.mean_absolute_error(actual, predicted),
        "rmse": lambda: sk.root_mean_squared_error(actual, predicted),
        "r2": lambda: sk.r2_score(actual, predicted),
        "mape": lambda: sk.mean_absolute_percentage_error(actual, predicted),
        **{
            f"pinball_{percent:02d}": partial(sk.mean_pinball_loss, actual, predicted, alpha=percent / 100)
            for percent in (5, 10, 25, 75, 90, 95)
        },
        "cost": lambda: mean_cost(actual, predicted, classes),
        "accuracy": lambda: sk.accuracy_score(actual, predicted),
        "precision": lambda: sk.precision_score(actual, predicted, **macro),
        "recall": lambda: sk.recall_score(actual, predicted, **macro),
        "f1": lambda: sk.f1_score(actual, predicted, **macro),
        "roc_auc": lambda: area(sk.roc_auc_score),
        "pr_auc": lambda: area(sk.average_precision_score),
        "log_loss": lambda: sk.log_loss(actual, probabilities, labels=classes),
        "brier": lambda: float(((probabilities - truth) ** 2).sum(axis=1).mean() / 2),
    }[name]()


def drawn(name: str, classes: int, rows: int, seed: int):
    random = np.random.default_rng(seed)
    if metric_named(name).task is Task.REGRESSION:
        actual = random.normal(1e6, 10, rows)
        return Task.REGRESSION, actual, actual + random.normal(1, 3, rows), None, []
    names = list("abcd"[:classes])
    probabilities = random.dirichlet(np.ones(classes), rows).round(2) + 0.01
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    drawn_class = (random.random((rows, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    actual = np.array(names)[np.minimum(drawn_class, classes - 1)]
    return Task.CLASSIFICATION, actual, np.array(names)[probabilities.argmax(axis=1)], probabilities, names


@pytest.mark.parametrize("name", LABELLED)
@settings(max_examples=examples(10), deadline=None)
@given(
    classes=st.sampled_from([2, 3, 4]),
    rows=st.integers(12, 60),
    partitions=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_merging_partitions_is_pooling_rows(name: str, classes: int, rows: int, partitions: int, seed: int):
    classes = 2 if metric_named(name).of_costs else classes
    task, actual, predicted, probabilities, known = drawn(name, classes, rows, seed)
    whole = measured(task, actual, predicted, probabilities=probabilities, classes=known, costs=COSTS)
    partition = np.random.default_rng(seed).integers(0, partitions, rows)
    pooled = metric_named(name).pooled(parts_of(whole, partition, name))
    if len(set(actual)) < 2:
        assert math.isnan(pooled) == math.isnan(whole.value(name))
    else:
        assert pooled == pytest.approx(expected(name, actual, predicted, probabilities, known), rel=1e-9)
        assert pooled == pytest.approx(whole.value(name), rel=1e-9)


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc"])
def test_days_of_48_rows_are_not_a_mean_of_days(name: str):
    """A model that is wrong about the level of a day, but not about the order of its rows."""
    random = np.random.default_rng(0)
    day = np.repeat(np.arange(60), 48)
    known = random.normal(size=len(day))
    actual = (known + 0.3 * random.normal(size=len(day)) > 0).astype(int)
    chance = 1 / (1 + np.exp(-2 * known - random.normal(0, 3, 60)[day]))
    both = np.column_stack([1 - chance, chance])
    rows = measured(Task.CLASSIFICATION, actual, actual, probabilities=both, classes=[0, 1])
    parts = parts_of(rows, day, name)
    exact = {"roc_auc": sk.roc_auc_score, "pr_auc": sk.average_precision_score}[name](actual, chance)
    assert metric_named(name).pooled(parts) == pytest.approx(exact, rel=1e-12)
    mean = np.mean([part.value for part in parts if part.value is not None])
    assert mean > 0.95
    assert exact < 0.8


def test_a_part_of_one_class_has_no_area_and_counts_with_the_others():
    chance = np.array([0.1, 0.4, 0.35, 0.8])
    rows = measured(
        Task.CLASSIFICATION,
        [0, 0, 1, 1],
        [0, 0, 0, 1],
        probabilities=np.column_stack([1 - chance, chance]),
        classes=[0, 1],
    )
    first, second = rows.taken(np.array([0, 1])), rows.taken(np.array([2, 3]))
    assert first.part("roc_auc").value is None
    assert first.undefined("roc_auc") == "one class only"
    parts = [first.part("roc_auc"), second.part("roc_auc")]
    assert metric_named("roc_auc").pooled(parts) == pytest.approx(0.75)  # scikit-learn's own example
    assert math.isnan(metric_named("roc_auc").pooled(parts[:1]))


def test_a_class_that_is_new_later_is_one_of_the_classes_of_the_parts_before():
    two = measured(
        Task.CLASSIFICATION,
        list("aabb"),
        list("abab"),
        probabilities=np.array([[0.9, 0.1], [0.25, 0.75], [0.625, 0.375], [0.3125, 0.6875]]),
        classes=list("ab"),
    )
    chances = np.array([[0.5, 0.2, 0.3], [0.1, 0.2, 0.7], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5]])
    three = measured(
        Task.CLASSIFICATION, list("acbc"), list("acbc"), probabilities=chances, classes=list("abc")
    )
    truth = np.array(list("aabbacbc"))
    padded = np.vstack([np.column_stack([two.probabilities, np.zeros(4)]), chances])
    for name in ("roc_auc", "pr_auc"):
        pooled = metric_named(name).pooled([two.part(name), three.part(name)])
        assert pooled == pytest.approx(expected(name, truth, None, padded, list("abc")))


@pytest.mark.parametrize(("rare", "most"), [(0.5, 2e-5), (0.01, 5e-5), (0.001, 3e-4)])
def test_many_rows_are_kept_in_few_cells_and_an_area_is_off_by_little(rare: float, most: float):
    random = np.random.default_rng(1)
    n, partitions = 100_000, 4
    actual = (random.random(n) < rare).astype(int)
    odds = random.normal(1.5 * actual, 1, n) + np.log(rare / (1 - rare))
    chance = 1 / (1 + np.exp(-odds))
    rows = measured(
        Task.CLASSIFICATION,
        actual,
        (chance > 0.5).astype(int),
        probabilities=np.column_stack([1 - chance, chance]),
        classes=[0, 1],
    )
    partition = np.arange(n) % partitions
    for name in ("roc_auc", "pr_auc"):
        parts = parts_of(rows, partition, name)
        assert all(len(part.kept["curves"]["1"][0]) <= CELLS for part in parts)
        off = abs(metric_named(name).pooled(parts) - rows.value(name))
        assert off < (most if name == "roc_auc" else 10 * most)
        if name == "roc_auc":
            assert off <= _bound(parts)


def _bound(parts: list[Part]) -> float:
    """Half the largest share of pairs of one partition, or of two of them, that lie in one cell."""
    cells = [np.array(part.kept["curves"]["1"]) for part in parts]
    pairs = sum((others * true).sum() for _, others, true in cells)
    others, true = (sum(of[place].sum() for of in cells) for place in (1, 2))
    return float(len(parts) * pairs / (others * true) / 2) * 2


def test_probabilities_that_are_close_together_are_told_apart():
    random = np.random.default_rng(2)
    chance = 0.01 + random.random(20_000) * 1e-4
    actual = (random.random(20_000) < (chance - 0.01) * 1e4).astype(int)
    both = np.column_stack([1 - chance, chance])
    rows = measured(Task.CLASSIFICATION, actual, actual, probabilities=both, classes=[0, 1])
    pooled = metric_named("roc_auc").pooled([rows.part("roc_auc")])
    assert pooled == pytest.approx(sk.roc_auc_score(actual, chance), abs=1e-5)


def test_certain_probabilities_are_kept():
    chance = np.concatenate([[0.0, 1.0], np.random.default_rng(3).random(5_000)])
    actual = np.concatenate([[0, 1], (chance[2:] > 0.5).astype(int)])
    both = np.column_stack([1 - chance, chance])
    rows = measured(Task.CLASSIFICATION, actual, actual, probabilities=both, classes=[0, 1])
    part = rows.part("roc_auc")
    assert (part.kept["curves"]["1"][0][0], part.kept["curves"]["1"][0][-1]) == (0.0, 1.0)
    assert metric_named("roc_auc").pooled([part]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_nothing_to_pool_has_no_value(metric):
    assert math.isnan(metric.pooled([]))


@pytest.mark.parametrize("name", ["r2", "f1", "roc_auc"])
def test_what_an_older_release_kept_nothing_of_is_not_pooled(name: str):
    assert math.isnan(metric_named(name).pooled([Part(10, 0.9)]))


@pytest.mark.parametrize("name", ["mae", "rmse", "accuracy", "log_loss"])
def test_rows_and_values_are_enough_where_they_say_it_all(name: str):
    found = metric_named(name).pooled([Part(10, 3.0), Part(30, 1.0), Part(5, None)])
    assert found == pytest.approx(math.sqrt(3.0) if name == "rmse" else 1.5)


def test_a_prediction_that_is_not_finite_has_no_part():
    rows = measured(Task.REGRESSION, [1.0, 2.0], [1.0, math.inf])
    assert rows.part("mae") is None
    assert rows.undefined("mae") == "a prediction is not finite"
    assert (
        measured(Task.CLASSIFICATION, ["a"], ["a"]).undefined("brier") == "the model gives no probabilities"
    )
