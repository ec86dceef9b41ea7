from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.evaluation.compare import (
    Comparison,
    allowed_loss,
    clearly_worse,
    clears,
    compare,
    intervals,
)
from evergreen.metrics import METRICS, metrics_of
from evergreen.metrics.predictions import Predictions
from evergreen.spec import ChampionRule, Task
from tests.campaign import examples
from tests.unit.metrics.compute import COSTS, compute

RULE = ChampionRule(rounds=200)
EVERY = [(metric.task, metric.name) for metric in METRICS.values()]
FEW = settings(max_examples=examples(15), deadline=None)


def world(task, seed, rows=210, metric="accuracy"):
    """Truth, two models' predictions, days and space of a task: of two classes for a metric of costs."""
    random = np.random.default_rng(seed)
    days = np.sort(random.integers(0, 14, rows))
    if task is Task.REGRESSION:
        actual = random.normal(50, 5, rows)
        return actual, *(Predictions(actual + random.normal(0, 1, rows)) for _ in range(2)), days, None
    if task is Task.CLUSTERING:
        labels = random.integers(0, 3, rows)
        other = np.where(random.random(rows) < 0.2, random.integers(0, 3, rows), labels)
        space = random.normal(3 * labels[:, None], 1, (rows, 2))
        return None, Predictions(labels), Predictions(other), days, space
    classes = 2 if METRICS[metric].of_costs else 3
    actual = random.integers(0, classes, rows)
    sides = []
    for _ in range(2):
        likely = random.dirichlet(np.ones(classes), rows)
        likely[np.arange(rows), actual] += 0.3
        likely /= likely.sum(axis=1, keepdims=True)
        sides.append(Predictions(likely.argmax(axis=1), likely, tuple(range(classes))))
    return actual, *sides, days, None


def compared(task, metric, seed=0, *, swap=False, timeless=False, rule=RULE):
    actual, one, other, days, space = world(task, seed, metric=metric)
    sides = [side.beside(task, actual, space=space, costs=COSTS, seed=seed) for side in (one, other)]
    challenger, champion = reversed(sides) if swap else sides
    units = None if timeless else days
    return compare(metric, challenger, champion, units=units, rule=rule, seed=seed)


def comparison(low, high, champion=10.0):
    return Comparison("mae", 100, 7, champion, champion, (low + high) / 2, low, high, 0.95, 1000)


@pytest.mark.parametrize("timeless", [True, False])
@pytest.mark.parametrize(("task", "metric"), EVERY)
def test_the_comparison_is_of_the_metrics_of_both(task, metric, timeless):
    actual, one, other, _, space = world(task, 0, metric=metric)
    found = compared(task, metric, timeless=timeless)
    own, theirs = (
        compute(
            task,
            actual,
            side.labels,
            probabilities=side.probabilities,
            classes=side.classes,
            space=space,
            costs=COSTS,
        )[metric]
        for side in (one, other)
    )
    assert (found.challenger, found.champion) == (own, theirs)
    lower = metric in ("mae", "rmse", "mape", "log_loss", "brier", "cost") or metric.startswith("pinball")
    assert found.loss == pytest.approx(own - theirs if lower else theirs - own)
    assert found.low < found.loss < found.high
    assert (found.rows, found.blocks) == (210, 210 if timeless else 14)


@pytest.mark.parametrize(("task", "metric"), EVERY)
@FEW
@given(seed=st.integers(0, 1000))
def test_swapping_the_sides_mirrors_the_interval(task, metric, seed):
    one, other = compared(task, metric, seed), compared(task, metric, seed, swap=True)
    assert (other.loss, other.low, other.high) == pytest.approx((-one.loss, -one.high, -one.low))


@pytest.mark.parametrize(("task", "metric"), EVERY)
@pytest.mark.parametrize("timeless", [True, False])
def test_a_model_against_itself_loses_nothing(task, metric, timeless):
    actual, one, _, days, space = world(task, 1, metric=metric)
    units = None if timeless else days
    side = one.beside(task, actual, space=space, costs=COSTS, seed=1)
    found = compare(metric, side, side, units=units, rule=RULE, seed=1)
    assert (found.loss, found.low, found.high) == (0, 0, 0)
    assert clears(found, ChampionRule()) is True
    assert clears(found, ChampionRule(test="superiority")) is False


@FEW
@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-6, 0.5, 3.0, 1e6]))
def test_a_loss_is_in_the_unit_of_the_metric(seed, scale):
    actual, one, other, days, _ = world(Task.REGRESSION, seed)
    for metric, by in (("mae", scale), ("rmse", scale), ("mape", 1.0), ("r2", 1.0)):
        small, large = (
            compare(
                metric,
                *(
                    Predictions(side.labels * factor).beside(Task.REGRESSION, actual * factor)
                    for side in (one, other)
                ),
                units=days,
                rule=RULE,
                seed=seed,
            )
            for factor in (1.0, scale)
        )
        expected = (small.loss * by, small.low * by, small.high * by)
        assert (large.loss, large.low, large.high) == pytest.approx(expected, rel=1e-6)


def test_a_comparison_in_pairs_is_narrower_than_its_sides():
    random = np.random.default_rng(0)
    actual, hard = random.normal(size=500), random.normal(0, 5, 500)
    one, other = (Predictions(actual + hard + random.normal(0, 0.1, 500)) for _ in range(2))
    sides = [side.beside(Task.REGRESSION, actual) for side in (one, other)]
    found = compare("mae", *sides, units=None, rule=RULE, seed=0)
    alone = intervals(sides[0], units=None, rule=RULE, seed=0)["mae"]
    assert found.high - found.low < (alone.high - alone.low) / 10


def test_days_and_their_models_are_the_unit_of_doubt_and_not_rows():
    """A thousand rows a day say little more than one if what differs is the day."""
    random = np.random.default_rng(0)
    unit = np.repeat(np.arange(10), 1000)
    actual = np.zeros(len(unit))
    one, other = (Predictions(random.normal(size=10)[unit]) for _ in range(2))
    sides = [side.beside(Task.REGRESSION, actual) for side in (one, other)]
    rows, days = (compare("mae", *sides, units=units, rule=RULE, seed=0) for units in (None, unit))
    assert days.high - days.low > 10 * (rows.high - rows.low)


@pytest.mark.parametrize(
    ("metric", "units"),
    [("mae", np.zeros(210, dtype=int)), ("roc_auc", None)],
    ids=["one day", "no such metric"],
)
def test_what_cannot_be_compared_is_nan(metric, units):
    actual, one, other, _, _ = world(Task.REGRESSION, 0)
    sides = (side.beside(Task.REGRESSION, actual) for side in (one, other))
    found = compare(metric, *sides, units=units, rule=RULE, seed=0)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert clears(found, RULE) is None
    assert not clearly_worse(found, RULE)


def test_no_rows_and_predictions_that_are_not_numbers_are_nan():
    none = Predictions(np.empty(0)).beside(Task.REGRESSION, [])
    found = compare("mae", none, none, units=None, rule=RULE, seed=0)
    assert (found.rows, found.blocks) == (0, 0)
    assert clears(found, RULE) is None
    assert intervals(none, units=None, rule=RULE, seed=0) == {}
    bad, good = (
        Predictions(np.array(labels)).beside(Task.REGRESSION, [1.0, 2.0])
        for labels in ([1.0, math.inf], [1.0, 2.0])
    )
    found = compare("mae", bad, good, units=None, rule=RULE, seed=0)
    assert math.isnan(found.challenger)
    assert found.champion == 0
    assert clears(found, RULE) is None


def test_a_champion_without_probabilities_cannot_be_compared_in_them():
    actual, one, other, days, _ = world(Task.CLASSIFICATION, 0)
    sides = (side.beside(Task.CLASSIFICATION, actual) for side in (one, Predictions(other.labels)))
    found = compare("brier", *sides, units=days, rule=RULE, seed=0)
    assert math.isfinite(found.challenger)
    assert math.isnan(found.champion)
    assert clears(found, RULE) is None


@pytest.mark.parametrize("task", Task)
def test_every_metric_has_an_interval_for_the_card_within_its_range(task):
    actual, one, _, days, space = world(task, 0, metric="cost")
    found = intervals(one.beside(task, actual, space=space, costs=COSTS), units=days, rule=RULE, seed=0)
    assert set(found) == {metric.name for metric in metrics_of(task)}
    assert all(interval.low < interval.high for interval in found.values())
    for name in set(found) & {"accuracy", "roc_auc", "f1", "pr_auc", "recall", "precision", "brier"}:
        assert 0 <= found[name].low < found[name].high <= 1


def test_the_margin_is_a_share_of_the_champions_distance_from_perfect():
    rule = ChampionRule(margin=0.05)
    gain = ChampionRule(test="superiority", margin=0.05)
    assert allowed_loss(comparison(0, 1, champion=-10.0), rule) == 0.5
    assert allowed_loss(comparison(0, 1), gain) == -0.5


@pytest.mark.parametrize(
    ("test", "margin", "low", "high", "verdict", "worse"),
    [
        ("non_inferiority", 0.05, -1.0, 0.4, True, False),
        ("non_inferiority", 0.05, -1.0, 0.5, True, False),
        ("non_inferiority", 0.05, -1.0, 0.6, False, False),
        ("non_inferiority", 0.05, 0.1, 0.6, False, False),
        ("non_inferiority", 0.05, 0.6, 0.9, False, True),
        ("superiority", 0.0, -1.0, -0.1, True, False),
        ("superiority", 0.0, -1.0, 0.0, False, False),
        ("superiority", 0.0, 0.1, 0.2, False, True),
        ("superiority", 0.05, -1.0, -0.4, False, False),
        ("superiority", 0.05, -1.0, -0.6, True, False),
        ("superiority", 0.05, math.nan, math.nan, None, False),
    ],
)
def test_a_comparison_clears_the_margin_is_clearly_worse_or_neither(test, margin, low, high, verdict, worse):
    rule = ChampionRule(test=test, margin=margin)
    assert clears(comparison(low, high), rule) is verdict
    assert clearly_worse(comparison(low, high), rule) is worse


def test_a_comparison_is_written_and_read():
    found = compared(Task.REGRESSION, "mae")
    assert Comparison.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    broken = comparison(math.nan, math.nan)
    written = json.loads(json.dumps(broken.to_dict(), allow_nan=False))
    assert written["low"] is None
    assert math.isnan(Comparison.from_dict(written).high)


def test_the_same_seed_gives_the_same_interval():
    assert compared(Task.REGRESSION, "mae") == compared(Task.REGRESSION, "mae")
