"""Known answers are worked out by hand, or by numpy and scipy from the definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn import metrics as sk

from evergreen.metrics import Costs, metrics_of
from evergreen.metrics.measured import is_usable, measured
from evergreen.task import Task
from tests.unit.metrics.compute import COSTS, compute, mean_cost

NUMBERS = st.integers(-(10**8), 10**8).map(lambda n: n / 100)


def test_regression_by_hand():
    found = compute(Task.REGRESSION, [1.0, 2.0, 4.0], [2.0, 2.0, 2.0])
    # Errors 1, 0, -2; mean of the target 7/3, its squared deviations 16/9 + 1/9 + 25/9 = 42/9.
    assert found["mae"] == pytest.approx(1.0)
    assert found["rmse"] == pytest.approx(math.sqrt(5 / 3))
    assert found["r2"] == pytest.approx(1 - 5 / (42 / 9))
    assert found["mape"] == pytest.approx((1 / 1 + 0 + 2 / 4) / 3)


@pytest.mark.parametrize("percent", [5, 10, 25, 75, 90, 95])
def test_the_pinball_loss_is_scikit_learns_and_least_at_the_quantile(percent: int):
    random = np.random.default_rng(percent)
    actual, predicted = random.exponential(size=(2, 500))
    weights = random.uniform(size=500)
    name = f"pinball_{percent:02d}"
    found = compute(Task.REGRESSION, actual, predicted, weights=weights)[name]
    wanted = sk.mean_pinball_loss(actual, predicted, alpha=percent / 100, sample_weight=weights)
    assert found == pytest.approx(wanted, rel=1e-12)
    constants = np.quantile(actual, np.linspace(0.01, 0.99, 99))
    losses = [compute(Task.REGRESSION, actual, np.full(500, value))[name] for value in constants]
    assert abs(np.argmin(losses) + 1 - percent) <= 1


def test_classification_by_hand():
    actual = ["a", "a", "a", "b", "b", "c"]
    guessed = ["a", "a", "b", "b", "c", "c"]
    found = compute(Task.CLASSIFICATION, actual, guessed)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["precision"] == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert found["recall"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert found["f1"] == pytest.approx((2 * (2 / 3) / (5 / 3) + 1 / 2 + 2 * (1 / 2) / (3 / 2)) / 3)
    assert "log_loss" not in found


def test_log_loss_by_hand():
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6]])
    found = compute(
        Task.CLASSIFICATION, ["a", "b"], ["a", "b"], probabilities=probabilities, classes=["a", "b"]
    )
    assert found["log_loss"] == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)


def test_a_class_the_model_has_never_seen_is_very_wrong_and_no_error():
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6]])
    found = compute(
        Task.CLASSIFICATION, ["a", "z"], ["a", "b"], probabilities=probabilities, classes=["a", "b"]
    )
    assert 10 < found["log_loss"] < math.inf


def test_the_silhouette_is_that_of_its_definition():
    random = np.random.default_rng(0)
    points = random.normal(size=(30, 3))
    labels = random.integers(0, 3, 30)
    distance = cdist(points, points)
    values = []
    for i in range(30):
        own = (labels == labels[i]) & (np.arange(30) != i)
        a = distance[i, own].mean()
        b = min(distance[i, labels == k].mean() for k in range(3) if k != labels[i])
        values.append((b - a) / max(a, b))
    found = compute(Task.CLUSTERING, None, labels, space=points)
    assert found["silhouette"] == pytest.approx(np.mean(values))


def test_calinski_harabasz_by_hand():
    # Two pairs on a line: between (2 x 5^2 x 2 = 100) over 1, within 4 x 1/4 = 1 over 2.
    points = np.array([[0.0], [1.0], [10.0], [11.0]])
    found = compute(Task.CLUSTERING, None, [0, 0, 1, 1], space=points)
    assert found["calinski_harabasz"] == pytest.approx(100 / (1 / 2))


def test_a_large_clustering_is_sampled_with_the_seed():
    random = np.random.default_rng(0)
    points = np.r_[random.normal(0, 1, (4000, 2)), random.normal(9, 1, (4000, 2))]
    labels = np.repeat([0, 1], 4000)
    one, again, other = (
        compute(Task.CLUSTERING, None, labels, space=points, seed=seed)["silhouette"] for seed in (0, 0, 1)
    )
    assert one == again != other
    assert one == pytest.approx(other, abs=0.01)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_one_cluster_or_one_a_row_has_no_silhouette(labels):
    found = compute(Task.CLUSTERING, None, labels, space=np.eye(3))
    assert math.isnan(found["silhouette"])


def test_no_rows_have_no_metric():
    assert all(math.isnan(v) for v in compute(Task.REGRESSION, [], []).values())
    assert all(math.isnan(v) for v in compute(Task.CLASSIFICATION, [], []).values())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_prediction_that_is_not_finite_makes_every_metric_nan(bad):
    assert all(math.isnan(v) for v in compute(Task.REGRESSION, [1.0, 2.0], [1.0, bad]).values())


@given(values=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=30))
def test_regression_invariants(values):
    actual, predicted = (np.array(column) for column in zip(*values, strict=True))
    found = compute(Task.REGRESSION, actual, predicted)
    assert found["mae"] == pytest.approx(np.abs(actual - predicted).mean())
    assert 0 <= found["mae"] <= found["rmse"] * (1 + 1e-9) + 1e-9
    assert found["r2"] <= 1
    assert compute(Task.REGRESSION, actual, actual)["mae"] == 0


@given(values=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=30))
def test_classification_invariants(values):
    actual, guessed = (list(column) for column in zip(*values, strict=True))
    found = compute(Task.CLASSIFICATION, actual, guessed)
    assert found["accuracy"] == pytest.approx(np.mean([a == g for a, g in values]))
    assert all(0 <= value <= 1 for value in found.values())


def test_every_metric_a_description_may_name_is_there():
    found = {
        Task.REGRESSION: compute(Task.REGRESSION, [1.0, 2.0], [1.0, 2.0]),
        Task.CLASSIFICATION: compute(
            Task.CLASSIFICATION,
            ["a", "b"],
            ["a", "b"],
            probabilities=np.eye(2),
            classes=["a", "b"],
            costs=COSTS,
        ),
        Task.CLUSTERING: compute(Task.CLUSTERING, None, [0, 0, 1], space=np.eye(3)),
    }
    for task in Task:
        assert [metric.name for metric in metrics_of(task)] == list(found[task])


def test_usable_is_there_and_finite():
    assert is_usable({"mae": 1.0}, "mae")
    assert not is_usable({"mae": math.nan}, "mae")
    assert not is_usable({"mae": math.inf}, "mae")
    assert not is_usable({}, "mae")
    assert not is_usable(None, "mae")


def test_brier_by_hand():
    # Binary: the mean squared distance of the second class's probability; three classes: half of all three.
    two = compute(
        Task.CLASSIFICATION,
        ["a", "b"],
        ["a", "b"],
        probabilities=np.array([[0.8, 0.2], [0.4, 0.6]]),
        classes=["a", "b"],
    )
    assert two["brier"] == pytest.approx((0.2**2 + 0.4**2) / 2)
    three = compute(
        Task.CLASSIFICATION,
        ["a"],
        ["a"],
        probabilities=np.array([[0.5, 0.3, 0.2]]),
        classes=["a", "b", "c"],
    )
    assert three["brier"] == pytest.approx((0.5**2 + 0.3**2 + 0.2**2) / 2)


def test_the_area_under_the_curve_by_hand():
    # Of the 2 x 2 pairs of b and a, three are in order: 0.9 and 0.4 above 0.1, 0.9 above 0.6.
    scores = np.array([0.1, 0.6, 0.4, 0.9])
    found = compute(
        Task.CLASSIFICATION,
        ["a", "a", "b", "b"],
        ["a", "b", "a", "b"],
        probabilities=np.column_stack([1 - scores, scores]),
        classes=["a", "b"],
    )
    assert found["roc_auc"] == pytest.approx(3 / 4)
    # Half of b is found with precision 1, the other half with 2 of 3.
    assert found["pr_auc"] == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("number", [2, 4])
def test_classification_is_as_scikit_learn_computes_it(number):
    random = np.random.default_rng(number)
    actual = random.integers(0, number, 500)
    probabilities = random.dirichlet(np.ones(number), 500)
    predicted, weights = probabilities.argmax(axis=1), random.uniform(0.1, 3, 500)
    for counted in (None, weights):
        found = compute(
            Task.CLASSIFICATION,
            actual,
            predicted,
            probabilities=probabilities,
            classes=list(range(number)),
            weights=counted,
        )
        scores = probabilities if number > 2 else probabilities[:, 1]
        truth = np.eye(number)[actual] if number > 2 else actual
        expected = {
            "accuracy": sk.accuracy_score(actual, predicted, sample_weight=counted),
            "precision": sk.precision_score(actual, predicted, average="macro", sample_weight=counted),
            "recall": sk.recall_score(actual, predicted, average="macro", sample_weight=counted),
            "f1": sk.f1_score(actual, predicted, average="macro", sample_weight=counted),
            "roc_auc": sk.roc_auc_score(actual, scores, multi_class="ovr", sample_weight=counted),
            "pr_auc": sk.average_precision_score(truth, scores, sample_weight=counted),
            "log_loss": sk.log_loss(actual, probabilities, sample_weight=counted),
            "brier": sk.brier_score_loss(actual, probabilities, scale_by_half=True, sample_weight=counted),
        }
        assert found == pytest.approx(expected)


def test_the_cost_by_hand():
    # Of the positive class `b` one of two is missed, of the other one of three is taken for it.
    actual, said = list("aaabb"), list("baaba")
    assert compute(Task.CLASSIFICATION, actual, said, costs=COSTS)["cost"] == pytest.approx((2 + 5) / 5)
    other = compute(Task.CLASSIFICATION, actual, said, costs=COSTS, positive="a", weights=[3, 1, 1, 1, 2])
    assert other["cost"] == pytest.approx((3 * 5 + 2 * 2) / 8)


@given(
    values=st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, 5)), min_size=2, max_size=30),
    missed=st.floats(0.1, 50),
    false=st.floats(0.1, 50),
)
def test_the_cost_is_that_of_scikit_learns_confusion_matrix_whichever_class_is_positive(
    values, missed, false
):
    actual, said, weights = (np.array(column) for column in zip(*values, strict=True))
    costs = Costs(false_negative=missed, false_positive=false)
    swapped = Costs(false_negative=false, false_positive=missed)
    found = measured(Task.CLASSIFICATION, actual, said, weights=weights, costs=costs)
    assert found.value("cost") == pytest.approx(
        mean_cost(actual, said, (False, True), weights=weights, costs=costs)
    )
    mirrored = measured(Task.CLASSIFICATION, actual, said, weights=weights, costs=swapped, positive=False)
    assert mirrored.value("cost") == pytest.approx(found.value("cost"))


def test_a_row_costs_nothing_where_all_are_of_one_class_and_three_classes_have_no_cost():
    assert compute(Task.CLASSIFICATION, list("bb"), list("bb"), costs=COSTS)["cost"] == 0
    three = measured(Task.CLASSIFICATION, list("abc"), list("abb"), costs=COSTS)
    assert math.isnan(three.value("cost"))
    assert three.undefined("cost") == "more than two classes"


def test_without_costs_there_is_no_cost():
    rows = measured(Task.CLASSIFICATION, list("ab"), list("ab"))
    assert "cost" not in rows.values
    assert math.isnan(rows.value("cost"))
    assert rows.undefined("cost") == "the description has no costs"


def test_weights_count_as_if_rows_were_there_so_often():
    random = np.random.default_rng(0)
    actual, predicted = random.normal(50, 5, 40), random.normal(50, 5, 40)
    often = random.integers(1, 5, 40)
    repeated = compute(Task.REGRESSION, np.repeat(actual, often), np.repeat(predicted, often))
    assert compute(Task.REGRESSION, actual, predicted, weights=often) == pytest.approx(repeated)
    actual, scores = random.integers(0, 2, 40), random.random(40)
    once = compute(
        Task.CLASSIFICATION,
        actual,
        scores > 0.5,
        probabilities=np.column_stack([1 - scores, scores]),
        classes=[0, 1],
        weights=often,
    )
    scores = np.repeat(scores, often)
    several = compute(
        Task.CLASSIFICATION,
        np.repeat(actual, often),
        scores > 0.5,
        probabilities=np.column_stack([1 - scores, scores]),
        classes=[0, 1],
    )
    assert once == pytest.approx(several)


def test_rows_of_one_class_have_no_curve():
    found = compute(Task.CLASSIFICATION, ["a", "a"], ["a", "b"], probabilities=np.eye(2), classes=["a", "b"])
    assert math.isnan(found["roc_auc"])
    assert math.isnan(found["pr_auc"])
    assert math.isfinite(found["log_loss"])


def test_classes_that_are_not_in_the_rows_have_no_part_in_the_mean_of_curves():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 60)
    actual = random.integers(0, 2, 60)
    found = compute(Task.CLASSIFICATION, actual, actual, probabilities=probabilities, classes=[0, 1, 2])
    areas = [sk.roc_auc_score(actual == label, probabilities[:, label]) for label in (0, 1)]
    assert found["roc_auc"] == pytest.approx(np.mean(areas))


def test_probabilities_that_are_not_numbers_have_no_metric():
    found = compute(
        Task.CLASSIFICATION,
        ["a", "b"],
        ["a", "b"],
        probabilities=np.array([[math.nan, 0.2], [0.4, 0.6]]),
        classes=["a", "b"],
    )
    assert all(math.isnan(found[name]) for name in ("roc_auc", "pr_auc", "log_loss", "brier"))
    assert found["accuracy"] == 1
