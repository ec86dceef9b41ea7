"""Intervals hold the truth as often as they promise, and are wide where a model errs much."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from evergreen.backtest.held_out import HeldOut
from evergreen.errors import RefusedError
from evergreen.intervals.conformal import ConformalRegressor, fewest_rows
from evergreen.metrics.predictions import Predictions
from evergreen.registry.model_file import dump_model, load_model

LEVELS = (0.9, 0.99)


class Itself:
    """A model whose prediction is its only feature."""

    def predict(self, features):
        return np.asarray(features)[:, 0]


def noise(kind, random, mean):
    if kind == "grows":
        return random.normal(size=len(mean)) * mean
    if kind == "skewed":
        return random.exponential(size=len(mean)) - 1
    return random.standard_t(3, size=len(mean))


def made(kind, seed, rows):
    random = np.random.default_rng(seed)
    mean = random.uniform(1, 10, rows)
    return mean, mean + noise(kind, random, mean)


def calibrated(mean, actual, levels=LEVELS, weights=None):
    folds = np.arange(len(mean)) * 4 // len(mean)
    return ConformalRegressor(Itself(), levels).calibrate(mean, actual, folds, weights)


@pytest.mark.parametrize("kind", ["grows", "skewed", "heavy tails"])
def test_the_truth_is_within_as_often_as_promised(kind):
    found = []
    for seed in range(8):
        intervals = calibrated(*made(kind, seed, 800))
        mean, actual = made(kind, 1000 + seed, 2000)
        bounds = intervals.predict_interval(pd.DataFrame({"x": mean}))
        found.append(
            ((bounds[:, :, 0] <= actual[:, None]) & (actual[:, None] <= bounds[:, :, 1])).mean(axis=0)
        )
    # Over 8 seeds of 600 scores the mean coverage scatters by about 0.005 and 0.0015.
    np.testing.assert_allclose(np.mean(found, axis=0), LEVELS, atol=0.02)


def test_where_a_model_errs_more_its_intervals_are_wider():
    mean, actual = made("grows", 0, 2000)
    bounds = calibrated(mean, actual).predict_interval(pd.DataFrame({"x": [2.0, 8.0]}))[:, 0]
    narrow, wide = bounds[:, 1] - bounds[:, 0]
    assert 3 < wide / narrow < 5.5


def test_the_quantile_is_the_one_of_the_finite_sample():
    # With a constant scale of 1 the scores are the residuals of the second fold: 1 to 19.
    residuals = np.append(np.ones(20), np.arange(1, 20))
    folds = np.repeat([0, 1], [20, 19])
    intervals = ConformalRegressor(Itself(), (0.9,)).calibrate(np.zeros(39), residuals, folds)
    assert intervals._quantile(0.9) == 18  # ceil(20 * 0.9) = 18
    assert intervals._quantile(0.95) == 19
    assert math.isinf(intervals._quantile(0.96))


def test_a_row_of_weight_2_counts_as_two_and_of_weight_0_not_at_all():
    mean, actual = made("skewed", 1, 400)
    weights = np.tile([0.0, 1.0, 1.0, 1.0], 100)
    counted = weights > 0
    folds = np.arange(400) * 4 // 400
    some = ConformalRegressor(Itself(), (0.9,)).calibrate(mean[counted], actual[counted], folds[counted])
    weighted = ConformalRegressor(Itself(), (0.9,)).calibrate(mean, actual, folds, weights)
    np.testing.assert_array_equal(some.around(mean), weighted.around(mean))
    heavier = ConformalRegressor(Itself(), (0.9,)).calibrate(mean, actual, folds, 2 * weights)
    np.testing.assert_allclose(some.around(mean), heavier.around(mean))


def test_a_level_that_needs_more_rows_is_refused_in_one_line():
    assert [fewest_rows(level) for level in (0.5, 0.9, 0.95, 0.99)] == [1, 9, 19, 99]
    with pytest.raises(RefusedError, match=r"intervals: 99% needs at least 99 rows .* there are 60: ask"):
        calibrated(*made("grows", 0, 80))


def test_an_exact_model_has_intervals_of_no_width():
    mean = np.linspace(0, 1, 60)
    bounds = calibrated(mean, mean, (0.9,)).around(mean)
    np.testing.assert_array_equal(bounds[:, 0, 0], mean)


def test_a_stored_model_gives_the_same_intervals():
    x = pd.DataFrame({"x": np.arange(300.0)})
    y = x["x"] + np.random.default_rng(0).normal(size=300)
    model = LinearRegression().fit(x, y)
    intervals = ConformalRegressor(model, LEVELS).calibrate(model.predict(x), y, np.arange(300) // 60)
    again = load_model(dump_model(intervals))
    assert again.levels == LEVELS
    assert list(again.feature_names_in_) == ["x"]
    np.testing.assert_array_equal(again.predict_interval(x), intervals.predict_interval(x))
    said = Predictions.of(again, x)
    kept = Predictions.of(HeldOut.from_dict(HeldOut(said).to_dict()), x)
    for other in (kept, Predictions.joined([said.taken(np.arange(9)), said.taken(np.arange(9, 300))])):
        np.testing.assert_array_equal(other.bounds, said.bounds)
        assert other.levels == LEVELS
