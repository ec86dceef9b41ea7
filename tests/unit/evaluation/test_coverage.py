"""The coverage of a hold-out by hand, by size of the prediction, and the interval of it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from evergreen.evaluation.bootstrap import Resampling
from evergreen.evaluation.coverage import ClassResult, CoverageResult, measure_coverage
from evergreen.metrics.predictions import Predictions
from evergreen.spec import ChampionRule

RULE = ChampionRule(rounds=200)


def measured(hit, predicted=None, width=2.0, weights=None, units=None):
    """Rows whose intervals hold the truth, 0, where `hit` says so; the second level holds all."""
    hit = np.asarray(hit, dtype=bool)
    lower = np.where(hit, -width / 2, 1.0)
    bounds = np.stack([np.column_stack([lower, np.full(len(hit), -9.0)]), np.full((len(hit), 2), 0.0)], 2)
    bounds[:, 0, 1] = lower + width
    bounds[:, 1, 1] = 9.0
    labels = np.zeros(len(hit)) if predicted is None else predicted
    said = Predictions(labels, bounds=bounds, levels=(0.5, 0.99))
    drawn = Resampling.of(units, len(hit), RULE, 0)
    return measure_coverage(np.zeros(len(hit)), said, drawn, RULE.confidence, weights)


def test_the_share_and_the_width_by_hand():
    main, wide = measured([True, True, True, False], width=4.0)
    assert (main.level, main.covered, main.width, main.by_size) == (0.5, 0.75, 4.0, ())
    assert (wide.level, wide.covered, wide.width) == (0.99, 1.0, 18.0)
    # Where nothing was missed, no row says how far the share may be from what was found.
    assert math.isnan(wide.interval.low)
    weighted, _ = measured([True, True, True, False], weights=np.array([1.0, 0, 0, 3]))
    assert weighted.covered == 0.25


def test_the_interval_is_of_the_units_and_not_of_the_rows():
    units = np.repeat(np.arange(12), 50)
    hit = np.random.default_rng(0).random(600) < 0.9
    bad = hit & ~np.isin(units, [3, 7])  # two days on which everything is missed
    rows, days = (measured(bad, units=of)[0] for of in (None, units))
    assert rows.covered == days.covered == bad.mean()
    # By hand: the standard error of a mean of 12 shares, times Student's t of 11 degrees of freedom.
    shares = bad.reshape(12, 50).mean(axis=1)
    reach = 2.201 * shares.std(ddof=1) / math.sqrt(12)
    assert days.covered - days.interval.low == pytest.approx(reach, rel=0.25)
    assert days.interval.high == min(1.0, days.interval.high)
    assert rows.interval.high - rows.interval.low < (days.interval.high - days.interval.low) / 3


def test_it_is_told_by_the_size_of_the_prediction():
    predicted = np.random.default_rng(1).permutation(np.arange(500.0))
    main, _ = measured(predicted < 400, predicted)
    assert [(size.low, size.high, size.rows, size.covered) for size in main.by_size] == [
        (0, 99, 100, 1.0),
        (100, 199, 100, 1.0),
        (200, 299, 100, 1.0),
        (300, 399, 100, 1.0),
        (400, 499, 100, 0.0),
    ]
    assert measured(predicted < 400, np.zeros(500))[0].by_size[0].rows == 500  # no sizes to tell apart
    assert [len(measured(np.ones(rows))[0].by_size) for rows in (50, 99)] == [0, 0]


def test_sets_are_told_by_the_true_class():
    sets = np.array([[1, 0], [1, 1], [0, 1], [1, 0]], dtype=bool)[:, None, :]
    said = Predictions(np.array(list("abba")), np.full((4, 2), 0.5), ("a", "b"), levels=(0.9,), sets=sets)
    drawn = Resampling.of(None, 4, RULE, 0)
    (found,) = measure_coverage(list("aabb"), said, drawn, 0.95)
    assert (found.covered, found.width, found.by_size) == (0.75, 1.25, ())
    assert found.by_class == (
        ClassResult(name="a", rows=2, covered=1.0, width=1.5),
        ClassResult(name="b", rows=2, covered=0.5, width=1.0),
    )
    assert CoverageResult.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    (weighted,) = measure_coverage(list("aabb"), said, drawn, 0.95, np.array([1.0, 0, 1, 3]))
    assert (weighted.covered, weighted.by_class[1].covered) == (0.4, 0.25)


def test_it_is_json_and_back():
    for found in measured(np.arange(200) % 3 > 0, np.arange(200.0)):
        again = CoverageResult.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
        assert again.to_dict() == found.to_dict()
        assert again.by_size == found.by_size


def test_without_intervals_of_every_row_there_is_none():
    drawn = Resampling.of(None, 2, RULE, 0)
    assert measure_coverage([1.0, 2.0], Predictions(np.zeros(2)), drawn, 0.95) == ()
    missing = Predictions(np.zeros(2), bounds=np.full((2, 1, 2), np.nan), levels=(0.9,))
    assert measure_coverage([1.0, 2.0], missing, drawn, 0.95) == ()
    assert measure_coverage(None, missing, drawn, 0.95) == ()
