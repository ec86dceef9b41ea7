"""A trial: what nights say together against scikit-learn on all rows, and its outcome by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as known

from evergreen.evaluation.confidence import reach
from evergreen.evaluation.trial import Pair, trial
from evergreen.metrics import METRICS, metric_named
from evergreen.metrics.part import Part
from evergreen.metrics.predictions import Predictions
from evergreen.spec import ChampionRule, Task
from tests.campaign import examples

MAE, RULE = METRICS["mae"], ChampionRule()
# What scikit-learn gives for truth, labels and the second class's probability of all rows.
KNOWN = {
    "mae": lambda actual, labels, _: known.mean_absolute_error(actual, labels),
    "rmse": lambda actual, labels, _: known.root_mean_squared_error(actual, labels),
    "accuracy": lambda actual, labels, _: known.accuracy_score(actual, labels),
    "f1": lambda actual, labels, _: known.f1_score(actual, labels, average="macro"),
    "roc_auc": lambda actual, _, likely: known.roc_auc_score(actual, likely),
    "log_loss": lambda actual, _, likely: known.log_loss(actual, likely),
}


def rows_of(task, number, error=1.0):
    """Truth and predictions of so many rows, of two models; a challenger of a smaller `error` is better."""
    random = np.random.default_rng(number)
    if task is Task.REGRESSION:
        actual = random.normal(50, 10, number)
        return actual, *(Predictions(actual + size * random.normal(size=number)) for size in (error, 1.0))
    actual = random.integers(0, 2, number)
    sides = []
    for size in (error, 1.0):
        likely = 1 / (1 + np.exp(-(2 * actual - 1) - 2 * size * random.normal(size=number)))
        sides.append(Predictions((likely > 0.5).astype(int), np.column_stack([1 - likely, likely]), (0, 1)))
    return actual, *sides


def pairs_of(name, actual, sides, nights):
    """The rows' parts by night."""
    task = metric_named(name).task
    measured = [side.beside(task, actual) for side in sides]
    return [
        Pair(*(side.taken(nights == night).part(name) for side in measured)) for night in np.unique(nights)
    ]


def by_night(losses, champion=10.0, rows=10):
    """Nights in which the challenger's mae is that much more than the champion's."""
    return [Pair(Part(rows, champion + loss), Part(rows, champion)) for loss in losses]


def around(mean, nights=20, spread=1.0):
    """Losses around a mean, one up and one down by turns."""
    return [mean + (spread if night % 2 else -spread) for night in range(nights)]


@pytest.mark.parametrize("name", KNOWN)
def test_the_values_are_those_of_all_rows(name):
    actual, *sides = rows_of(metric_named(name).task, 600)
    nights = np.sort(np.random.default_rng(1).integers(0, 30, 600))
    found = trial(metric_named(name), RULE, pairs_of(name, actual, sides, nights))
    values = [
        KNOWN[name](actual, side.labels, None if side.probabilities is None else side.probabilities[:, 1])
        for side in sides
    ]
    assert [found.challenger, found.champion] == pytest.approx(values)
    assert found.loss == pytest.approx(metric_named(name).loss(*values))
    assert found.gain == pytest.approx(-metric_named(name).worse_by(*values))
    assert (found.rows, found.units) == (600, len(np.unique(nights)))
    assert 0 < found.reach < math.inf


def test_the_reach_of_a_mean_by_hand():
    # Alternating losses correlate negatively, which counts as none: the variance of a mean is s^2 / n.
    losses = around(0.0)
    found = trial(MAE, RULE, by_night(losses))
    assert found.reach == pytest.approx(reach(np.var(losses, ddof=1) / 20, 20, 0.025))


@pytest.mark.parametrize("share", [0.9, 0.99])
def test_each_side_has_half_of_what_the_confidence_leaves(share):
    found = trial(MAE, ChampionRule(confidence=share), by_night(around(0.0)))
    assert found.reach == pytest.approx(reach(np.var(around(0.0), ddof=1) / 20, 20, (1 - share) / 2))


@pytest.mark.parametrize(
    ("test", "margin", "loss", "outcome"),
    # The reach of 20 nights is about 0.9, and a margin of 30 % of a champion of 10 is 3.
    [
        ("non_inferiority", 0.0, -1.5, "better"),
        ("non_inferiority", 0.0, -0.5, "open"),
        ("non_inferiority", 0.0, 0.5, "open"),
        ("non_inferiority", 0.0, 1.5, "worse"),
        ("non_inferiority", 0.3, 1.5, "better"),
        ("non_inferiority", 0.3, 2.5, "open"),
        ("non_inferiority", 0.3, 4.5, "worse"),
        ("superiority", 0.0, -1.5, "better"),
        ("superiority", 0.3, -1.5, "worse"),
        ("superiority", 0.3, -2.5, "open"),
        ("superiority", 0.3, -4.5, "better"),
    ],
)
def test_the_outcome_follows_from_the_whole_interval(test, margin, loss, outcome):
    found = trial(MAE, ChampionRule(test=test, margin=margin), by_night(around(loss)))
    assert 0.7 < found.reach < 1.1
    assert found.outcome == outcome


@pytest.mark.parametrize("name", ["accuracy", "roc_auc", "f1"])
def test_a_clear_gain_of_what_is_better_when_higher(name):
    actual, *sides = rows_of(Task.CLASSIFICATION, 3_000, error=0.2)
    nights = np.arange(3_000) // 60
    found = trial(metric_named(name), RULE, pairs_of(name, actual, sides, nights))
    swapped = trial(metric_named(name), RULE, pairs_of(name, actual, sides[::-1], nights))
    assert (found.outcome, swapped.outcome) == ("better", "worse")
    assert found.loss < 0 < found.gain
    assert swapped.loss == pytest.approx(-found.loss)


@pytest.mark.parametrize("rule", [RULE, ChampionRule(test="superiority")], ids=lambda rule: rule.test)
@pytest.mark.parametrize("name", KNOWN)
def test_identical_models_stay_open(name, rule):
    actual, side, _ = rows_of(metric_named(name).task, 600)
    found = trial(metric_named(name), rule, pairs_of(name, actual, [side, side], np.arange(600) // 20))
    assert (found.outcome, found.loss, found.reach) == ("open", 0.0, math.inf)


def test_models_that_agreed_so_far_are_not_shown_to_be_equal():
    assert trial(MAE, RULE, by_night([0.0] * 40)).outcome == "open"
    assert trial(MAE, RULE, by_night([-1.0] * 40)).outcome == "open"


@pytest.mark.parametrize("nights", range(4))
def test_a_few_nights_say_nothing(nights):
    found = trial(MAE, RULE, by_night(around(-5.0, nights)))
    assert (found.outcome, found.reach, found.units) == ("open", math.inf, nights)


def test_hours_are_taken_a_day_at_a_time():
    days = around(-5.0, 7)
    hours = by_night(np.repeat(days, 24), rows=2)
    assert trial(MAE, RULE, hours[: 4 * 24 - 1], 24).outcome == "open"
    found, of_days = trial(MAE, RULE, hours, 24), trial(MAE, RULE, by_night(days))
    assert found.outcome == of_days.outcome == "better"
    assert (found.units, found.reach) == (7, pytest.approx(of_days.reach))
    begun = trial(MAE, RULE, [*hours, *by_night([-5.0] * 5, rows=2)], 24)
    assert begun.units == 7


def test_more_than_sixty_nights_are_left_out_with_their_neighbours():
    losses = np.random.default_rng(0).normal(size=120)
    merged = losses.reshape(60, 2).mean(axis=1)
    found = trial(MAE, RULE, by_night(losses))
    assert found.units == 120
    lagged = max(float(np.corrcoef(merged[1:], merged[:-1])[0, 1]), 0)
    plain = reach(np.var(merged, ddof=1) / 60, 120, 0.025)
    assert plain <= found.reach * (1 + 1e-9) <= plain * math.sqrt((1.2 + lagged) / (0.8 - lagged))


def test_the_order_of_nights_counts_where_neighbours_are_alike():
    runs = [-1.0] * 15 + [1.0] * 15 + [-1.0] * 15
    mixed = np.random.default_rng(3).permutation(runs)
    found, other = (trial(MAE, RULE, by_night(losses)) for losses in (runs, mixed))
    assert found.loss == pytest.approx(other.loss)
    assert found.reach > 2 * other.reach


def test_a_night_without_a_value_is_passed_over():
    known_nights = by_night(around(-1.5))
    blank = Pair(Part(10, None), Part(10, None))
    found = trial(MAE, RULE, [*known_nights[:10], blank, *known_nights[10:]])
    assert found.loss == pytest.approx(-1.5)
    assert found.outcome == "better"


def test_nights_of_one_class_count_in_the_area_of_all():
    actual, *sides = rows_of(Task.CLASSIFICATION, 600, error=0.3)
    order = np.argsort(np.arange(600) // 200 * 2 + actual, kind="stable")  # long runs of one class
    actual, nights = actual[order], np.arange(600) // 20
    sides = [replace(s, labels=s.labels[order], probabilities=s.probabilities[order]) for s in sides]
    pairs = pairs_of("roc_auc", actual, sides, nights)
    assert sum(pair.champion.value is None for pair in pairs) > 10
    found = trial(METRICS["roc_auc"], RULE, pairs)
    assert found.challenger == pytest.approx(known.roc_auc_score(actual, sides[0].probabilities[:, 1]))
    assert math.isfinite(found.reach)


@pytest.mark.parametrize("name", ["mae", "accuracy", "roc_auc", "f1"])
def test_what_cannot_be_computed_never_promotes(name):
    blank = [Pair(Part(10, None), Part(10, None))] * 20
    found = trial(metric_named(name), RULE, blank)
    assert (found.outcome, found.reach, found.rows) == ("open", math.inf, 200)
    assert math.isnan(found.loss)
    assert found.to_dict()["loss"] is None
    assert found.to_dict()["reach"] is None


def test_the_area_of_a_single_class_never_promotes():
    side = Predictions(np.ones(200, int), np.column_stack([np.zeros(200), np.ones(200)]), (0, 1))
    pairs = pairs_of("roc_auc", np.ones(200, int), [side, side], np.arange(200) // 10)
    assert trial(METRICS["roc_auc"], RULE, pairs).outcome == "open"


@settings(max_examples=examples(30), deadline=None)
@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=90),
    st.sampled_from(["superiority", "non_inferiority"]),
    st.floats(0, 0.5),
)
def test_whatever_the_losses_the_outcome_is_what_the_interval_says(losses, test, margin):
    found = trial(MAE, ChampionRule(test=test, margin=margin), by_night(losses))
    bound = found.champion * (margin if test == "non_inferiority" else -margin)
    low, high = found.loss - found.reach, found.loss + found.reach
    assert (found.outcome == "worse") == (low > bound)
    if found.outcome == "better":
        assert high <= bound
    if high < bound:
        assert found.outcome == "better"
    assert found.loss == pytest.approx(np.mean(losses), abs=1e-9)
