from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, roc_auc_score

from evergreen.evaluation.chance import Chance, chance
from evergreen.metrics.predictions import Predictions
from evergreen.task import Task
from tests.campaign import rounds

TIMES = rounds(100, 400)


def exact(score, actual, said, better) -> float:
    """The share of all orders that score as well: each arrangement of the truth stands for as many."""
    found = score(actual, said)
    arranged = set(itertools.permutations(actual))
    return sum(better(score(np.array(order), said), found) for order in arranged) / len(arranged)


def lower(one, other):
    return one <= other + 1e-12


def higher(one, other):
    return one >= other - 1e-12


def beside(task, actual, said):
    if task is Task.REGRESSION:
        return Predictions(said).beside(task, actual)
    likely = np.column_stack([1 - said, said])
    return Predictions((said > 0.5).astype(int), likely, (0, 1)).beside(task, actual)


@pytest.mark.parametrize(
    ("metric", "task", "score", "better"),
    [
        ("mae", Task.REGRESSION, mean_absolute_error, lower),
        ("accuracy", Task.CLASSIFICATION, lambda y, p: accuracy_score(y, p > 0.5), higher),
        ("f1", Task.CLASSIFICATION, lambda y, p: f1_score(y, p > 0.5, average="macro"), higher),
        ("roc_auc", Task.CLASSIFICATION, roc_auc_score, higher),
    ],
)
def test_the_probability_is_that_of_all_orders(metric, task, score, better):
    """Seven rows of which three are positive have 35 arrangements, which are counted with scikit-learn."""
    actual = np.array([0, 0, 0, 0, 1, 1, 1])
    said = np.array([0.1, 0.2, 0.6, 0.45, 0.7, 0.15, 0.9])
    expected = exact(score, actual, said, better)
    assert 0.02 < expected < 0.5  # neither certain nor hopeless, or the test says nothing
    # It stops once the level is out of reach. How often each order is as good is then estimated without bias
    # by (good - 1) / (orders - 1) (Haldane 1945, "On a method of estimating frequencies", Biometrika 33).
    found = [chance(metric, beside(task, actual, said), 0.01, seed) for seed in range(TIMES)]
    stopped = [(one.as_good - 1) / (one.orders - 1) for one in found]
    assert np.mean(stopped) == pytest.approx(expected, rel=0.15)


def test_predictions_without_any_relation_are_rarely_below_the_level():
    below = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        actual = random.choice(["x", "y", "z"], 30)
        said = Predictions(random.choice(["x", "y", "z"], 30))
        below += chance("f1", said.beside(Task.CLASSIFICATION, actual), 0.05, seed).probability <= 0.05
    assert below <= 20  # 10 expected; more than 20 in 1 of 1,000


def test_a_constant_is_as_good_in_every_order_and_a_right_order_is_better_than_all():
    actual = pd.Series(np.arange(50.0))
    same = Predictions(np.full(50, 25.0)).beside(Task.REGRESSION, actual)
    found = chance("mae", same, 0.025, 0)
    assert found.as_good == found.orders == 5  # with the fifth, more than 2.5 % of 200 are certain
    right = Predictions(actual.to_numpy() + 0.1).beside(Task.REGRESSION, actual)
    assert chance("mae", right, 0.025, 0) == Chance(199, 0)
    assert chance("mae", right, 0.025, 0).probability == pytest.approx(1 / 200)


def test_of_very_many_rows_as_many_as_are_enough_are_drawn_with_their_weights():
    random = np.random.default_rng(0)
    actual = random.normal(size=50_000)
    own = Predictions(0.1 * actual + random.normal(size=50_000))
    found = chance("mae", own.beside(Task.REGRESSION, actual, weights=random.random(50_000)), 0.025, 0)
    assert found == Chance(199, 0)


def test_an_order_that_has_no_value_counts_as_good():
    actual = np.array([1, 1, 1, 1])
    own = Predictions(np.array([1, 1, 1, 1]), np.full((4, 2), 0.5), (0, 1))
    found = chance("roc_auc", own.beside(Task.CLASSIFICATION, actual), 0.05, 0)
    assert found.as_good == found.orders > 0


def test_it_is_json():
    found = Chance(199, 7)
    assert Chance.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert found.probability == pytest.approx(8 / 200)
