"""Histograms and the population stability index, against hand calculation and scipy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from evergreen.monitoring.drift import counts_in, feature_drift, histogram, psi, psi_bound

counts = st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), min_size=2, max_size=12)


def test_index_by_hand() -> None:
    # (0.25 - 0.5) ln(0.25 / 0.5) + (0.75 - 0.5) ln(0.75 / 0.5) = 0.25 ln 3
    found = psi(np.array([50.0, 50.0]), np.array([25.0, 75.0]))
    assert found == pytest.approx(0.25 * math.log(3), abs=1e-12)


def test_an_empty_bin_counts_as_half_a_row() -> None:
    # shares 0.5 and 0.5 against 1 and 0.5 / 20
    by_hand = 0.5 * math.log(2) + (0.025 - 0.5) * math.log(0.025 / 0.5)
    assert psi(np.array([10.0, 10.0]), np.array([20.0, 0.0])) == pytest.approx(by_hand, abs=1e-12)


def test_a_bin_empty_on_both_sides_is_left_out() -> None:
    assert psi(np.array([50.0, 50.0, 0.0]), np.array([25.0, 75.0, 0.0])) == pytest.approx(0.25 * math.log(3))


def test_no_rows_give_no_number() -> None:
    assert math.isnan(psi(np.array([1.0, 2.0]), np.zeros(2)))


@given(counts)
def test_index_is_the_sum_of_both_divergences(pairs: list[tuple[int, int]]) -> None:
    e, a = np.array(pairs, dtype=float).T
    assert psi(e, a) == pytest.approx(entropy(a, e) + entropy(e, a), abs=1e-9)


@given(counts)
def test_index_is_symmetric_and_not_negative(pairs: list[tuple[int, int]]) -> None:
    e, a = np.array(pairs, dtype=float).T
    assert psi(e, a) == pytest.approx(psi(a, e), abs=1e-12)
    assert psi(e, a) >= 0
    assert psi(e, 3 * e) == pytest.approx(0, abs=1e-12)


def test_bound_from_the_table_of_chi_squared() -> None:
    # 95 % quantile with 9 degrees of freedom: 16.919
    bound = psi_bound(np.full(10, 100.0), np.full(10, 10.0), confidence=0.95)
    assert bound == pytest.approx(16.919 * (1 / 1000 + 1 / 100), rel=1e-4)


def test_chance_stays_under_the_bound_as_often_as_promised() -> None:
    draw = np.random.default_rng(3)
    shares = np.full(10, 0.1)
    pairs = [(draw.multinomial(2000, shares), draw.multinomial(300, shares)) for _ in range(1000)]
    above = np.mean([psi(e.astype(float), a.astype(float)) > psi_bound(e, a, 0.95) for e, a in pairs])
    # 5 % expected; 1000 draws have a standard deviation of 0.7 %
    assert 0.03 < above < 0.08


def test_deciles_of_a_hundred_numbers() -> None:
    found = histogram(pd.Series(np.arange(100, dtype=float)))
    assert found["kind"] == "number"
    assert found["edges"] == [9.0, 19.0, 29.0, 39.0, 49.0, 59.0, 69.0, 79.0, 89.0]  # closed on the right
    assert found["counts"] == [10.0] * 10
    assert found["missing"] == 0


def test_few_values_make_few_bins_none_of_them_empty() -> None:
    found = histogram(pd.Series([0] * 70 + [1] * 20 + [2] * 10))
    assert found["counts"] == [70, 20, 10]


def test_missing_and_infinite_numbers() -> None:
    values = pd.Series([1.0, 2.0, np.nan, np.inf])
    reference = histogram(values)
    assert reference["missing"] == 1
    assert sum(reference["counts"]) == 2
    _, found = counts_in(reference, values)
    assert found[-2:].tolist() == [1, 1]  # one missing, one that is no finite number
    assert found.sum() == 4


def test_all_missing() -> None:
    reference = histogram(pd.Series([np.nan, np.nan]))
    assert psi(*counts_in(reference, pd.Series([np.nan]))) == 0


def test_categories_and_one_never_seen() -> None:
    reference = histogram(pd.Series(["mist", "clear", "clear", None]))
    assert (reference["values"], reference["counts"], reference["missing"]) == (["clear", "mist"], [2, 1], 1)
    expected, found = counts_in(reference, pd.Series(["clear", "snow", "snow", None]))
    assert expected.tolist() == [2, 1, 1, 0]
    assert found.tolist() == [1, 0, 1, 2]


def test_booleans_are_categories() -> None:
    assert histogram(pd.Series([True, False, True]))["values"] == ["False", "True"]


def test_a_number_that_became_text_is_strange() -> None:
    _, found = counts_in(histogram(pd.Series([1.0, 2.0, 3.0])), pd.Series(["2.0", "many"]))
    assert found[-1] == 1


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=60))
def test_every_row_is_counted_once(values: list[float | None]) -> None:
    reference = histogram(pd.Series([0.0, 1.0, 2.0, 3.0]))
    _, found = counts_in(reference, pd.Series(values, dtype=float))
    assert found.sum() == len(values)


def test_a_shift_is_drift_and_a_small_sample_is_not() -> None:
    draw = np.random.default_rng(5)
    reference = histogram(pd.Series(draw.normal(size=5000)))
    few = feature_drift(reference, pd.Series(draw.normal(size=24)), limit=0.25)
    assert not few.drifted
    assert few.psi < few.bound
    assert feature_drift(reference, pd.Series(draw.normal(loc=2, size=200)), limit=0.25).drifted


def test_significant_but_small_is_no_drift() -> None:
    draw = np.random.default_rng(6)
    reference = histogram(pd.Series(draw.normal(size=200_000)))
    found = feature_drift(reference, pd.Series(draw.normal(loc=0.1, size=200_000)), limit=0.25)
    assert found.psi > found.bound
    assert not found.drifted
