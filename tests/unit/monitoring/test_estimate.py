"""Performance without labels: by hand, against every possible truth, and against truths that are drawn."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sk

from evergreen.metrics import METRICS, Metric, metric_named, metrics_of
from evergreen.metrics.measured import measured
from evergreen.monitoring.estimate import estimated
from evergreen.spec import Task
from tests.campaign import examples
from tests.unit.metrics.compute import COSTS, compute, mean_cost

NAMES = [metric.name for metric in metrics_of(Task.CLASSIFICATION)]
OF_ANY = [metric.name for metric in metrics_of(Task.CLASSIFICATION) if not metric.of_costs]
"""Those that more than two classes have, too."""
Floats = NDArray[np.float64]


def estimate(metric: str, chances: Any, classes: Any = ("a", "b"), **more: Any) -> Any:
    more = {"costs": COSTS, **more}
    return estimated(metric_named(metric), np.asarray(chances, dtype=float), list(classes), **more)


# --- by hand ---

FOUR = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]]
# Predicted: a, a, b, b. Expected truth: 2.4 of a, 1.6 of b; of those predicted a 1.7 are right, of b 1.3.


def test_the_expected_confusion_matrix_by_hand() -> None:
    assert estimate("accuracy", FOUR) == pytest.approx(3.0 / 4)
    assert estimate("precision", FOUR) == pytest.approx((1.7 / 2 + 1.3 / 2) / 2)
    assert estimate("recall", FOUR) == pytest.approx((1.7 / 2.4 + 1.3 / 1.6) / 2)
    assert estimate("f1", FOUR) == pytest.approx((2 * 1.7 / 4.4 + 2 * 1.3 / 3.6) / 2)


def test_losses_by_hand() -> None:
    chance = np.array([0.1, 0.2, 0.7, 0.6])
    # Predicted a, a, b, b: a row that is of b after all costs 5, one that is not 2.
    assert estimate("cost", FOUR) == pytest.approx((5 * (0.1 + 0.2) + 2 * (0.3 + 0.4)) / 4)
    assert estimate("cost", FOUR, positive="a") == pytest.approx((2 * (0.1 + 0.2) + 5 * (0.3 + 0.4)) / 4)
    entropy = -(chance * np.log(chance) + (1 - chance) * np.log(1 - chance))
    assert estimate("log_loss", FOUR) == pytest.approx(entropy.mean())
    assert estimate("brier", FOUR) == pytest.approx((chance * (1 - chance)).mean())


def test_areas_by_hand() -> None:
    # Two rows: a pair is one of b and one of a. The upper is b and the lower a with 0.7 x 0.9, the other way
    # round with 0.3 x 0.1.
    two = [[0.9, 0.1], [0.3, 0.7]]
    assert estimate("roc_auc", two) == pytest.approx(0.63 / (0.63 + 0.03))
    # The upper is b: precision 1; the lower is b: the upper may be too, (1 + 0.7) / 2.
    assert estimate("pr_auc", two) == pytest.approx((0.7 * 1 + 0.1 * 1.7 / 2) / 0.8)
    # Equal scores cannot tell apart: half of the pairs, and the same precision for both.
    tied = [[0.6, 0.4], [0.6, 0.4]]
    assert estimate("roc_auc", tied) == pytest.approx(0.5)
    assert estimate("pr_auc", tied) == pytest.approx((1 + 0.4) / 2)


def test_published_predictions_count_where_they_are_not_the_likeliest() -> None:
    cautious = ["a", "b", "b", "b"]
    assert estimate("accuracy", FOUR, predicted=cautious) == pytest.approx((0.9 + 0.2 + 0.7 + 0.6) / 4)
    assert estimate("precision", FOUR, predicted=cautious) == pytest.approx((0.9 + 1.5 / 3) / 2)
    likeliest = np.array(["a", "a", "b", "b"], dtype=object)
    assert estimate("f1", FOUR, predicted=likeliest) == estimate("f1", FOUR)


def test_classes_in_another_order_are_the_same_classes() -> None:
    draw = np.random.default_rng(0)
    chances = draw.dirichlet([1, 2, 3], size=40)
    for columns, names in [((2, 0, 1), "cab"), ((1, 2, 0), "bca")]:
        for metric in OF_ANY:
            same = estimate(metric, chances[:, columns], names)
            assert same == pytest.approx(estimate(metric, chances, "abc"), rel=1e-12)
    for metric in NAMES:  # the second in sorted order is the one that a curve is drawn for
        assert estimate(metric, np.fliplr(FOUR), ("b", "a")) == pytest.approx(estimate(metric, FOUR))


def test_what_is_certain_is_what_will_be() -> None:
    truth = np.array([0, 1, 2, 2, 1, 0])
    sure = np.eye(3)[truth]
    wrong = np.array([0, 1, 2, 2, 0, 0])
    realised = compute(Task.CLASSIFICATION, truth, wrong, probabilities=sure, classes=[0, 1, 2])
    for metric in OF_ANY:
        assert estimate(metric, sure, (0, 1, 2), predicted=wrong) == pytest.approx(realised[metric], abs=1e-9)


# --- where it is not defined ---


@pytest.mark.parametrize("metric", [name for name in METRICS if name not in NAMES])
def test_metrics_of_other_tasks_have_no_estimate(metric: str) -> None:
    assert estimate(metric, FOUR) is None


@pytest.mark.parametrize("metric", NAMES)
def test_what_has_no_estimate(metric: str) -> None:
    assert estimate(metric, np.empty((0, 2))) is None
    assert estimate(metric, [[0.5, 0.5], [np.nan, 0.5]]) is None
    assert estimate(metric, FOUR, predicted=["a", "b", "a", "c"]) is None


def test_no_cost_without_costs_or_of_three_classes() -> None:
    assert estimate("cost", FOUR, costs=None) is None
    assert estimate("cost", np.full((2, 3), 1 / 3), "abc") is None


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc"])
@pytest.mark.parametrize("chances", [[[1.0, 0.0]] * 9, [[0.0, 1.0]] * 9])
def test_no_area_where_all_rows_are_surely_of_one_class(metric: str, chances: Any) -> None:
    assert estimate(metric, chances) is None


def test_no_area_of_a_pair_in_a_single_row() -> None:
    assert estimate("roc_auc", [[0.3, 0.7]]) is None


def test_no_area_with_one_class() -> None:
    assert estimate("roc_auc", [[1.0], [1.0]], "a") is None
    assert estimate("accuracy", [[1.0], [1.0]], "a") == 1.0


# --- against every possible truth ---


def over_all_truths(chances: Floats, value: Any) -> float:
    """The expectation of `value(truth)` where each row's class is drawn by its probabilities."""
    total = 0.0
    for truth in product(range(chances.shape[1]), repeat=len(chances)):
        probability = np.prod([row[label] for row, label in zip(chances, truth, strict=True)])
        if probability > 0:
            total += probability * value(np.array(truth))
    return float(total)


@settings(max_examples=examples(15), deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(1, 9)] * 3), min_size=1, max_size=3),
    st.sampled_from([metric for metric in metrics_of(Task.CLASSIFICATION) if metric.pools == "mean"]),
)
def test_means_over_rows_have_their_exact_expectation(counts: list[tuple[int, ...]], of: Metric) -> None:
    metric, names = of.name, range(2 if of.of_costs else 3)
    chances = np.array(counts)[:, : len(names)]
    chances = chances / chances.sum(axis=1, keepdims=True)
    predicted = chances.argmax(axis=1)

    def value(truth: NDArray[np.intp]) -> float:
        return measured(
            Task.CLASSIFICATION, truth, predicted, probabilities=chances, classes=names, costs=COSTS
        ).value(metric)

    assert estimate(metric, chances, names) == pytest.approx(over_all_truths(chances, value))


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(st.integers(1, 19), min_size=2, max_size=4))
def test_areas_are_ratios_of_exact_expectations(twentieths: list[int]) -> None:
    chance = np.array(twentieths) / 20
    chances = np.column_stack([1 - chance, chance])

    def weighted(area: Any, weight: Any) -> float:
        def value(truth: NDArray[np.intp]) -> float:
            both = 0 < truth.sum() < len(truth)
            return weight(truth) * area(truth, chance) if both or area is not sk.roc_auc_score else 0.0

        return over_all_truths(chances, value) / over_all_truths(chances, weight)

    def pairs(truth: NDArray[np.intp]) -> float:
        return float(truth.sum() * (1 - truth).sum())

    def positives(truth: NDArray[np.intp]) -> float:
        return float(truth.sum())

    def precision_area(truth: NDArray[np.intp], scores: Floats) -> float:
        return sk.average_precision_score(truth, scores) if truth.any() else 0.0

    assert estimate("roc_auc", chances) == pytest.approx(weighted(sk.roc_auc_score, pairs))
    assert estimate("pr_auc", chances) == pytest.approx(weighted(precision_area, positives))


# --- against truths that are drawn ---


def drawn_truths(chances: Floats, times: int) -> NDArray[np.intp]:
    draw = np.random.default_rng(12)
    steps = chances.cumsum(axis=1)[None, :, :-1]
    return (draw.random((times, len(chances), 1)) > steps).sum(axis=2)


def realised(metric: str, truth: NDArray[np.intp], predicted: NDArray[np.intp], chances: Floats) -> float:
    """The metric as scikit-learn has it."""
    two = chances.shape[1] == 2
    if metric in ("roc_auc", "pr_auc"):
        area = sk.roc_auc_score if metric == "roc_auc" else sk.average_precision_score
        if two:
            return float(area(truth, chances[:, 1]))
        return float(np.mean([area(truth == label, chances[:, label]) for label in range(chances.shape[1])]))
    if metric == "log_loss":
        return float(sk.log_loss(truth, chances, labels=range(chances.shape[1])))
    if metric == "brier":
        return float(((np.eye(chances.shape[1])[truth] - chances) ** 2).sum(axis=1).mean() / 2)
    if metric == "cost":
        return mean_cost(truth, predicted, (0, 1))
    if metric == "accuracy":
        return float(sk.accuracy_score(truth, predicted))
    scorer = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}[metric]
    return float(scorer(truth, predicted, average="macro", zero_division=0))


@pytest.mark.parametrize("kind", ["even", "rare", "three"])
def test_the_estimate_is_what_comes_true_within_sampling_error(kind: str) -> None:
    draw, rows, times = np.random.default_rng(5), 1_000, 40
    if kind == "three":
        chances = draw.dirichlet([0.4, 0.6, 1.0], size=rows)
    else:
        chance = draw.beta(0.7, 0.7, rows) if kind == "even" else draw.beta(0.3, 4, rows)
        chances = np.column_stack([1 - chance, chance])
    predicted = chances.argmax(axis=1)
    truths = drawn_truths(chances, times)
    for metric in OF_ANY if kind == "three" else NAMES:
        values = np.array([realised(metric, truth, predicted, chances) for truth in truths])
        expected = estimate(metric, chances, range(chances.shape[1]))
        error = values.std(ddof=1) / np.sqrt(times)
        away = abs(values.mean() - expected) / error
        print(f"\n{kind} {metric}: {expected:.4f} estimated, {values.mean():.4f} realised, {away:.1f} errors")
        assert away < stats.norm.ppf(1 - 0.0005)  # 26 of these are looked at


def test_small_partitions_are_not_biased_much() -> None:
    """Of 24 rows in three classes, one of them rare: over 150 truths, at most 0.03 from what comes true."""
    chances = np.random.default_rng(2).dirichlet([0.1, 1.0, 1.0], size=24)
    predicted = chances.argmax(axis=1)
    truths = drawn_truths(chances, 150)
    for metric in ("precision", "recall", "f1"):
        values = [realised(metric, truth, predicted, chances) for truth in truths]
        expected = estimate(metric, chances, range(3))
        print(f"\n24 rows, {metric}: {expected:.3f} estimated, {np.mean(values):.3f} realised")
        assert np.mean(values) == pytest.approx(expected, abs=0.03)


def test_an_overconfident_model_is_believed() -> None:
    """What the estimate cannot see: probabilities that are not what happens."""
    draw = np.random.default_rng(4)
    chance = draw.uniform(0.05, 0.95, 4_000)
    truth = (draw.random(4_000) < chance).astype(int)
    odds = (chance / (1 - chance)) ** 3  # three times as sure as it may be
    sure = odds / (1 + odds)
    predicted = (sure > 0.5).astype(int)
    accuracy = sk.accuracy_score(truth, predicted)
    believed = estimate("accuracy", np.column_stack([1 - sure, sure]), (0, 1))
    assert believed > accuracy + 0.1
    calibrated = estimate("accuracy", np.column_stack([1 - chance, chance]), (0, 1))
    assert calibrated == pytest.approx(accuracy, abs=0.03)
