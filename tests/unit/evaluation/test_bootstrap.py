from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evergreen.evaluation.bootstrap import Interval, Replicates, Resampling, interval, replicates
from evergreen.metrics import metric_named
from evergreen.metrics.measured import measured
from evergreen.spec import ChampionRule, Task
from tests.campaign import examples


def resampling(units, rows=0, *, block=1, rounds=1000, seed=0):
    return Resampling.of(units, rows, ChampionRule(block=block, rounds=rounds), seed)


def mean_absolute_error(errors, drawn):
    rows = measured(Task.REGRESSION, np.zeros(len(errors)), errors)
    return replicates(drawn, metric_named("mae").sums(rows, drawn.unit, drawn.units))


@given(units=st.integers(2, 40), block=st.integers(1, 12), seed=st.integers(0, 99))
@settings(max_examples=examples(40), deadline=None)
def test_every_round_draws_whole_blocks_of_neighbours(units, block, seed):
    drawn = resampling(np.arange(units), units, block=block, rounds=100, seed=seed)
    if drawn.blocks == 0:
        assert block > units
        return
    counts = np.concatenate(list(drawn.counts()))
    assert counts.shape == (100, units)
    assert (counts.sum(axis=1) == drawn.blocks * block).all()
    for row in counts:
        # Taking blocks away from the first unit on leaves nothing: it is made of them.
        left = row.copy()
        for first in range(units - block + 1):
            left[first : first + block] -= left[first]
        assert not left.any()


def test_blocks_are_those_of_kuensch_brute_force():
    """Ten days in blocks of three: each of the eight stretches is as likely, and three are drawn."""
    days = np.random.default_rng(0).normal(size=10) ** 2
    drawn = resampling(np.arange(10), 10, block=3, rounds=40_000)
    found = mean_absolute_error(days, drawn).drawn
    stretches = np.array([days[first : first + 3].mean() for first in range(8)])
    every = np.array([(a + b + c) / 3 for a in stretches for b in stretches for c in stretches])
    assert found.mean() == pytest.approx(every.mean(), rel=0.01)
    assert found.std() == pytest.approx(every.std(), rel=0.02)
    assert stats.ks_2samp(found, every).statistic < 0.02


def test_independent_rows_are_drawn_as_scipy_draws_them():
    errors = np.random.default_rng(0).exponential(size=60)
    found = mean_absolute_error(errors, resampling(None, 60, rounds=20_000))
    expected = stats.bootstrap((errors,), np.mean, n_resamples=20_000, rng=1, vectorized=True)
    assert found.drawn.std(ddof=1) == pytest.approx(expected.standard_error, rel=0.03)
    low, high = np.quantile(found.drawn, [0.025, 0.975])
    scipys = stats.bootstrap((errors,), np.mean, n_resamples=20_000, method="percentile", rng=1)
    assert low == pytest.approx(scipys.confidence_interval.low, rel=0.02)
    assert high == pytest.approx(scipys.confidence_interval.high, rel=0.02)


def test_the_interval_of_a_mean_is_that_of_students_t():
    values = np.random.default_rng(3).normal(5, 1, 60)
    drawn = resampling(None, 60, rounds=20_000)
    found = interval(values.mean(), mean_absolute_error(values, drawn), drawn, 0.95)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.low == pytest.approx(expected.low, rel=0.01)
    assert found.high == pytest.approx(expected.high, rel=0.01)


def test_many_rows_are_dealt_to_groups_that_give_the_width_of_the_rows():
    errors = np.random.default_rng(0).exponential(size=50_000)
    drawn = resampling(None, 50_000)
    assert drawn.units == 1000
    assert np.bincount(drawn.unit).tolist() == [50] * 1000
    found = mean_absolute_error(errors, drawn).drawn.std()
    assert found == pytest.approx(errors.std() / math.sqrt(50_000), rel=0.1)


def test_days_that_are_like_their_neighbours_widen_the_interval():
    random, drawn = np.random.default_rng(0), resampling(np.arange(28), 28)
    days = np.sort(random.normal(5, 1, 28))  # a trend: each day is like the day before
    mixed = random.permutation(days)
    wide, narrow = (interval(5.0, mean_absolute_error(d, drawn), drawn, 0.95) for d in (days, mixed))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_only_units_with_rows_count_and_very_many_are_put_together():
    assert resampling(np.array([3, 3, 90, 7]), 4).unit.tolist() == [0, 0, 2, 1]
    many = resampling(np.arange(2500), 2500, block=24)
    assert (many.units, many.block, many.blocks) == (834, 8, 104)
    assert (np.diff(many.unit) >= 0).all()


def test_the_same_seed_draws_the_same_and_another_differently():
    one, same, other = (
        np.concatenate(list(resampling(np.arange(9), 9, seed=seed).counts())) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("units", [np.array([], dtype=int), np.array([5, 5]), np.array([0, 1, 2])])
def test_fewer_than_two_blocks_have_no_interval(units):
    drawn = resampling(units, len(units), block=2)
    assert drawn.blocks < 2
    found = interval(1.0, Replicates(np.ones(1000), np.ones(len(units))), drawn, 0.95)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_rounds_without_a_metric_have_no_interval_if_they_are_many():
    drawn = resampling(None, 30)
    values = np.random.default_rng(0).normal(size=1000)
    for missing, known in ((90, True), (110, False)):
        values[:missing] = np.nan
        found = interval(0.0, Replicates(values, np.empty(0)), drawn, 0.95)
        assert math.isfinite(found.low) == math.isfinite(found.high) == known


def test_an_interval_is_written_and_read():
    for found in (Interval(-1.5, 2.0), Interval(0.0, math.inf)):
        written = found.to_dict()
        assert written["high"] in (2.0, None)
        assert Interval.from_dict(written).low == found.low
    assert math.isnan(Interval.from_dict({"low": None, "high": None}).high)
