from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from evergreen.evaluation.bootstrap import (
    Interval,
    Replicates,
    Resampling,
    interval,
    replicates,
    whole_if_partitions_differ,
)
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


@pytest.mark.parametrize(
    ("rows", "block", "units", "parts_of"),
    [
        ([5_000, 5_000], 1, 28, 2),  # P3: "9,991 rows in 1 block are too little for an interval"
        ([9_991], 1, 1, 0),  # one month does not show how months differ
        ([300, 20, 3_000], 1, 10 + 2 + 10, 3),
        ([24, 24], 1, 4, 2),
        ([4, 4, 4], 1, 3, 0),  # too few rows to cut
        ([5_000] * 4, 1, 4, 0),  # days as different as they are
        ([5_000, 5_000], 2, 2, 0),  # blocks of partitions are asked for
    ],
)
def test_few_partitions_are_cut_into_stretches_of_their_rows(rows, block, units, parts_of):
    unit = np.repeat(np.arange(len(rows)), rows)
    drawn = resampling(unit, len(unit), block=block)
    assert (drawn.units, drawn.parts_of) == (units, parts_of)
    assert (np.diff(drawn.unit) >= 0).all()  # neighbours, none over the end of a partition
    assert all(len(set(unit[drawn.unit == one])) == 1 for one in range(units))
    if parts_of:
        assert min(np.bincount(drawn.unit)) >= 10


def test_stretches_follow_the_time_of_the_rows_and_not_their_place():
    random = np.random.default_rng(3)
    times, halves = random.permutation(600), np.repeat([0, 1], 300)
    shuffled = Resampling.of(halves[times], 600, ChampionRule(), 0, times)
    in_order = Resampling.of(halves, 600, ChampionRule(), 0)
    assert (shuffled.unit[np.argsort(times)] == in_order.unit).all()


def test_the_interval_of_two_months_is_that_of_the_means_of_their_stretches():
    random = np.random.default_rng(5)
    errors = random.exponential(10.0, 5_600)
    drawn = resampling(np.repeat([0, 1], 2_800), 5_600, rounds=4_000)
    found = interval(errors.mean(), mean_absolute_error(errors, drawn), drawn, 0.95)
    means = errors.reshape(28, 200).mean(axis=1)
    low, high = stats.t.interval(0.95, 27, errors.mean(), stats.sem(means))
    assert found.high - found.low >= 0.95 * (high - low)
    assert found.high - found.low <= 1.5 * (high - low)  # wider where neighbours correlate


@given(seed=st.integers(0, 10_000), partitions=st.integers(2, 3), size=st.sampled_from([0.0, 0.3, 3.0]))
@settings(max_examples=examples(40), deadline=None)
def test_partitions_that_differ_more_than_their_stretches_are_compared_whole(seed, partitions, size):
    """The ratio of mean squares by scipy."""
    random = np.random.default_rng(seed)
    means = 10 + size * random.normal(size=partitions)
    errors = np.abs(np.repeat(means, 300) + random.normal(size=300 * partitions))
    drawn = resampling(np.repeat(np.arange(partitions), 300), len(errors), rounds=100)
    _, used = whole_if_partitions_differ(lambda drawn: mean_absolute_error(errors, drawn), drawn)
    stretches = [errors[drawn.unit == one].mean() for one in range(drawn.units)]
    ratio = stats.f_oneway(*np.split(np.array(stretches), partitions)).statistic
    limit = stats.f.median(partitions - 1, drawn.units - partitions)
    assume(not math.isclose(ratio, limit, rel_tol=0.05))  # stretches are not all of as many rows
    differ = ratio > limit
    assert (used.units, used.parts_of) == ((partitions, 0) if differ else (drawn.units, partitions))


def test_the_interval_of_two_months_that_differ_is_that_of_two_observations():
    errors = np.concatenate([np.linspace(9, 11, 300), np.linspace(19, 21, 300)])
    drawn = resampling(np.repeat([0, 1], 300), 600, rounds=4_000)
    found, used = whole_if_partitions_differ(lambda drawn: mean_absolute_error(errors, drawn), drawn)
    low, high = stats.t.interval(0.95, 1, 15, stats.sem([10, 20]))
    reach = interval(15.0, found, used, 0.95)
    assert (reach.low, reach.high) == pytest.approx((low, high), rel=0.05)


def test_equal_partitions_stay_cut():
    errors = np.ones(600)
    drawn = resampling(np.arange(600) * 2 // 600, 600)
    _, used = whole_if_partitions_differ(lambda drawn: mean_absolute_error(errors, drawn), drawn)
    assert used is drawn
