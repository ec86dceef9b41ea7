from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evergreen.evaluation.dummy import baseline_rule, dealt_at_random, dummy_predictions
from evergreen.metrics import Costs, metric_named
from evergreen.spec import Task
from tests.unit.evaluation.evaluations import spec_of
from tests.unit.metrics.compute import compute

KNOWN = pd.Series([1.0, 1.0, 1.0, 9.0])  # median 1, mean 3
NINE_COUNTS = np.array([1.0, 1.0, 1.0, 5.0])  # weighted median 9, mean 6


@pytest.mark.parametrize(
    ("metric", "weights", "constant"),
    [
        ("mae", None, 1.0),
        ("mape", None, 1.0),
        ("rmse", None, 3.0),
        ("r2", None, 3.0),
        ("mae", NINE_COUNTS, 9.0),
        ("mape", NINE_COUNTS, 1.0),  # the nine's weight of 5 is divided by 9
        ("rmse", NINE_COUNTS, 6.0),
    ],
)
def test_absolute_errors_are_held_against_the_median_and_squared_ones_against_the_mean(
    metric, weights, constant
):
    found = dummy_predictions(metric_named(metric), KNOWN, weights, 3)
    assert found.labels.tolist() == [constant] * 3
    assert found.probabilities is None


@pytest.mark.parametrize("name", ["mae", "mape", "rmse", "r2"])
def test_no_other_constant_is_better(name):
    known = pd.Series(np.random.default_rng(0).gamma(2.0, 10.0, 1_001) + 1)
    metric, actual = metric_named(name), known.to_numpy()
    (best,) = set(dummy_predictions(metric, known, None, 3).labels)

    def loss(constant):
        value = compute(Task.REGRESSION, actual, np.full(len(actual), constant))[name]
        return metric.loss(value)

    assert all(loss(best) <= loss(other) + 1e-12 for other in np.linspace(actual.min(), actual.max(), 500))


def test_classes_are_held_against_the_commonest():
    known = pd.Series(["a", "a", "a", "b"])
    metric = metric_named("log_loss")
    found = dummy_predictions(metric, known, None, 2)
    assert found.labels.tolist() == ["a", "a"]
    assert found.probabilities.tolist() == [[0.75, 0.25]] * 2
    assert found.classes == ("a", "b")
    weighted = dummy_predictions(metric, known, NINE_COUNTS, 1)
    assert weighted.labels.tolist() == ["b"]
    assert weighted.probabilities.tolist() == [[3 / 8, 5 / 8]]


@pytest.mark.parametrize(("missed", "false", "says"), [(2, 1, "a"), (4, 1, "b"), (3, 1, "a")])
def test_a_cost_is_held_against_the_class_that_is_cheaper_to_say_always(missed, false, says):
    known = pd.Series(["a", "a", "a", "b"])  # always a costs 1/4 of a miss, always b 3/4 of a false alarm
    costs, metric = Costs(false_negative=missed, false_positive=false), metric_named("cost")
    found = dummy_predictions(metric, known, None, 2, costs=costs)
    assert found.labels.tolist() == [says] * 2
    assert found.probabilities.tolist() == [[0.75, 0.25]] * 2
    mirrored = Costs(false_negative=false, false_positive=missed)
    swapped = dummy_predictions(metric, known, None, 2, costs=mirrored, positive="a")
    assert swapped.labels.tolist() == [says] * 2
    weighted = dummy_predictions(metric, known, NINE_COUNTS, 2, costs=costs)
    assert weighted.labels.tolist() == ["b"] * 2


def test_clusters_are_held_against_the_same_ones_dealt_at_random():
    centres = np.repeat([[0.0, 0.0], [9.0, 9.0]], 50, axis=0)
    space = centres + np.random.default_rng(0).normal(size=(100, 2))
    labels = np.repeat([0, 1], 50)
    found = dealt_at_random(labels, seed=0).labels
    assert found.tolist() == dealt_at_random(labels, seed=0).labels.tolist()
    assert np.bincount(found).tolist() == [50, 50]
    assert abs(compute(Task.CLUSTERING, None, found, space=space)["silhouette"]) < 0.1


def test_a_first_champion_s_interval_has_half_of_the_error_and_no_margin():
    spec = spec_of(gate={"champion": {"margin": "10%", "confidence": "90%"}})
    first, later = (baseline_rule(spec, first=known) for known in (True, False))
    assert (first.margin, first.confidence) == (0.0, pytest.approx(0.95))
    assert (later.margin, later.confidence) == (0.0, pytest.approx(0.90))
    assert first.rounds == later.rounds == spec.gate.champion.rounds
