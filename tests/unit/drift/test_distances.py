"""Distances and tests against calculation by hand and scipy, on the same arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from evergreen.drift.distances import (
    FEW,
    PARTS,
    benjamini_hochberg,
    chi_squared,
    in_parts,
    jensen_shannon,
    kolmogorov_smirnov,
    psi,
    two_proportions,
    wasserstein,
    without_rare,
)

EXACT = 1e-9
row = st.integers(1, 12).flatmap(
    lambda bins: st.tuples(*[st.lists(st.integers(0, 500), min_size=bins, max_size=bins)] * 2)
)


def sides(drawn: tuple[list[int], list[int]]) -> tuple[np.ndarray, np.ndarray]:
    expected, actual = np.array(drawn, dtype=float)
    assume(expected.sum() > 0 and actual.sum() > 0)
    return expected, actual


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


@given(row)
def test_index_is_the_sum_of_both_divergences(drawn: tuple[list[int], list[int]]) -> None:
    expected, actual = (side + 1 for side in sides(drawn))
    both = stats.entropy(actual, expected) + stats.entropy(expected, actual)
    assert psi(expected, actual) == pytest.approx(both, abs=EXACT)


@given(row)
def test_jensen_shannon_is_that_of_scipy(drawn: tuple[list[int], list[int]]) -> None:
    expected, actual = sides(drawn)
    by_scipy = jensenshannon(expected, actual, base=2)
    # Squared, for where both are alike the root makes 1e-16 of rounding 1e-8.
    assert jensen_shannon(expected, actual) ** 2 == pytest.approx(by_scipy**2, abs=EXACT)


@given(row, st.data())
def test_wasserstein_is_that_of_scipy_where_rows_lie_at_centres(
    drawn: tuple[list[int], list[int]], data: st.DataObject
) -> None:
    expected, actual = sides(drawn)
    places = st.lists(st.floats(-100, 100), min_size=len(expected), max_size=len(expected))
    centres = np.sort(data.draw(places))
    by_scipy = stats.wasserstein_distance(centres, centres, expected, actual)
    assert wasserstein(expected, actual, centres) == pytest.approx(by_scipy, abs=EXACT)


@given(row)
def test_kolmogorov_smirnov_is_that_of_scipy_where_rows_lie_at_edges(
    drawn: tuple[list[int], list[int]],
) -> None:
    expected, actual = sides(drawn)
    rows = [np.repeat(np.arange(len(side)), side.astype(int)) for side in (expected, actual)]
    statistic, p = kolmogorov_smirnov(expected, actual)
    assert statistic == pytest.approx(stats.ks_2samp(*rows, method="asymp").statistic, abs=EXACT)
    n, m = map(len, rows)
    assert p == pytest.approx(stats.kstwobign.sf(math.sqrt(n * m / (n + m)) * statistic), abs=EXACT)


@pytest.mark.parametrize("seed", range(20))
def test_binned_distances_are_within_their_stated_bounds(seed: int) -> None:
    draw = np.random.default_rng(seed)
    before, now = draw.normal(size=2000), draw.normal(draw.uniform(-1, 1), draw.uniform(0.5, 2), size=300)
    edges = np.quantile(before, np.arange(1, 20) / 20)
    places = [np.searchsorted(edges, rows) for rows in (before, now)]
    expected, actual = (np.bincount(place, minlength=20).astype(float) for place in places)
    centres = np.bincount(places[0], before) / expected
    widest = np.zeros(20)
    for rows, place in zip((before, now), places, strict=True):
        np.maximum.at(widest, place, np.abs(rows - centres[place]))
    shares = expected / expected.sum(), actual / actual.sum()
    apart = stats.wasserstein_distance(before, now)
    assert abs(wasserstein(expected, actual, centres) - apart) <= np.sum(widest * (shares[0] + shares[1]))
    missed = stats.ks_2samp(before, now).statistic - kolmogorov_smirnov(expected, actual)[0]
    assert -1e-12 <= missed <= max(map(np.max, shares))


@given(row)
def test_chi_squared_is_that_of_scipy(drawn: tuple[list[int], list[int]]) -> None:
    expected, actual = sides(drawn)
    used = expected + actual > 0
    by_scipy = stats.chi2_contingency(np.array([expected, actual])[:, used], correction=False)
    statistic, p = chi_squared(expected, actual)
    assert statistic == pytest.approx(by_scipy.statistic, rel=EXACT, abs=EXACT)
    assert p == pytest.approx(by_scipy.pvalue, abs=EXACT)


@given(st.integers(0, 50), st.integers(1, 500), st.integers(0, 50), st.integers(1, 500))
def test_two_proportions_are_the_tests_of_scipy(k: int, n: int, j: int, m: int) -> None:
    n, m = max(n, k), max(m, j)
    found = two_proportions(*(np.array([float(value)]) for value in (k, n, j, m)))
    if k + j in (0, n + m):
        assert found == 1
        return
    by_scipy = stats.chi2_contingency([[k, n - k], [j, m - j]], correction=False, lambda_="log-likelihood")
    if by_scipy.expected_freq.min() < FEW:
        seldom, both = (k, k + j) if 2 * (k + j) <= n + m else (n - k, n + m - k - j)
        tails = [
            stats.binomtest(seldom, both, n / (n + m), alternative=a).pvalue for a in ("less", "greater")
        ]
        assert found == pytest.approx(min(2 * min(tails), 1), abs=EXACT)
    else:
        # As statistics, for near 0 the probability is of their root, which makes much of rounding.
        statistic = by_scipy.statistic
        assert stats.chi2.isf(found, 1) == pytest.approx(statistic, rel=EXACT, abs=EXACT)


@pytest.mark.parametrize(("k", "n", "j", "m"), [(2, 24, 28, 28_000), (1, 21, 0, 2000), (4, 100, 9, 3000)])
def test_two_proportions_keep_their_level_where_hardly_a_row_is_expected(
    k: int, n: int, j: int, m: int
) -> None:
    """Fisher's exact test is the judge; Pearson's would be off by orders of magnitude."""
    table = [[k, n - k], [j, m - j]]
    exact = stats.fisher_exact(table).pvalue
    found = two_proportions(*(np.array([float(value)]) for value in (k, n, j, m)))
    assert exact <= found < 3 * exact
    assert two_proportions(*(np.array([float(value)]) for value in (n - k, n, m - j, m))) == pytest.approx(
        found
    )
    assert stats.chi2_contingency(table, correction=False).pvalue < exact / 5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_false_discoveries_are_those_of_scipy(p: list[float]) -> None:
    found = benjamini_hochberg(np.array([p, p]))
    assert found.shape == (2, len(p))
    assert found.ravel() == pytest.approx(stats.false_discovery_control(p + p), abs=EXACT)


def test_false_discoveries_by_hand() -> None:
    assert benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5])) == pytest.approx(
        [0.04, 0.16 / 3, 0.16 / 3, 0.5]
    )


DISTANCES = {
    "psi": psi,
    "jensen_shannon": jensen_shannon,
    "wasserstein": lambda e, a: wasserstein(e, a, np.arange(e.shape[-1], dtype=float)),
    "kolmogorov_smirnov": lambda e, a: kolmogorov_smirnov(e, a)[0],
    "chi_squared": lambda e, a: chi_squared(e, a)[0],
}
ORDERED = ("wasserstein", "kolmogorov_smirnov")


@pytest.mark.parametrize("name", DISTANCES)
@given(drawn=row, order=st.randoms())
def test_distances_are_symmetric_and_not_negative(
    name: str, drawn: tuple[list[int], list[int]], order: object
) -> None:
    expected, actual = sides(drawn)
    distance = DISTANCES[name]
    found = distance(expected, actual)
    assert found >= 0
    assert distance(actual, expected) == pytest.approx(found, rel=1e-9, abs=1e-12)
    # The root makes much of rounding: Jensen-Shannon of equal sides may be 1e-8.
    assert distance(expected, 2 * expected) == pytest.approx(
        0, abs=1e-7 if name == "jensen_shannon" else EXACT
    )
    if name not in ORDERED:
        places = list(range(len(expected)))
        order.shuffle(places)
        assert distance(expected[places], actual[places]) == pytest.approx(found, abs=1e-7)


@pytest.mark.parametrize("name", DISTANCES)
def test_many_features_are_measured_as_one_by_one(name: str) -> None:
    draw = np.random.default_rng(0)
    expected, actual = draw.poisson(9, size=(2, 7, 12)).astype(float)
    together = DISTANCES[name](expected, actual)
    alone = [DISTANCES[name](*pair) for pair in zip(expected, actual, strict=True)]
    assert together == pytest.approx(np.array(alone), rel=1e-12)


def test_nothing_to_compare() -> None:
    none, some = np.zeros(3), np.array([1.0, 2.0, 0.0])
    for expected, actual in ((none, some), (some, none), (none, none)):
        assert math.isnan(psi(expected, actual))
        assert math.isnan(jensen_shannon(expected, actual))
        assert kolmogorov_smirnov(expected, actual) == (0, 1)
        assert chi_squared(expected, actual) == (0, 1)
    zero = np.array([0.0])
    assert two_proportions(zero, zero, zero, np.array([5.0])) == 1


def test_parts_hold_about_equally_many_rows() -> None:
    expected, actual = np.full((1, 50), 20.0), np.arange(50.0)[None]
    first, second = in_parts(expected, actual)
    assert first.tolist() == [[100.0] * PARTS]
    assert second.tolist() == actual.reshape(10, 5).sum(axis=1)[None].tolist()


def test_a_constant_is_not_added_to_what_lies_beside_it() -> None:
    first, second = in_parts(np.array([[0.0, 100.0, 0.0]]), np.array([[7.0, 80.0, 13.0]]))
    assert first[first > 0].tolist() == [100]
    assert second[second > 0].tolist() == [7, 80, 13]


@given(st.integers(1, 5), st.integers(1, 60), st.integers(0, 2**32))
def test_parts_and_rare_bins_lose_no_row(features: int, bins: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    expected, actual = (
        draw.poisson(draw.exponential(5, size=(features, bins)), size=(2, features, bins)) * 1.0
    )
    for merge in (in_parts, without_rare):
        for merged, side in zip(merge(expected, actual), (expected, actual), strict=True):
            assert merged.sum(axis=1).tolist() == pytest.approx(side.sum(axis=1).tolist())
    first, second = without_rare(expected, actual)
    smaller = np.minimum(first.sum(axis=1), second.sum(axis=1))[:, None]
    chance = (first + second) * smaller / np.maximum((first + second).sum(axis=1), 1)[:, None]
    enough = smaller[:, 0] >= FEW
    assert (chance[enough][(first + second)[enough] > 0] >= FEW - 1e-9).all()


def test_rare_categories_are_added_up() -> None:
    # Of 1,000 rows now 900, 90, 5, 3 and 2 are to be expected: the last two together are five.
    first, second = without_rare(np.array([[9000.0, 900, 50, 30, 20]]), np.array([[900.0, 90, 5, 2, 3]]))
    assert first.tolist() == [[9000, 900, 50, 0, 0, 50]]
    assert second.tolist() == [[900, 90, 5, 0, 0, 5]]


@pytest.mark.parametrize("rows", [100, 1000])
def test_the_tests_hold_their_level(rows: int) -> None:
    """Among 3,000 pairs from one distribution about 1 % are called at 1 %, and never many more."""
    draw = np.random.default_rng(rows)
    shares = draw.dirichlet(np.full(30, 0.5))
    expected, actual = (draw.multinomial(n, shares, size=3000).astype(float) for n in (10 * rows, rows))
    for name, p in (
        ("ks", kolmogorov_smirnov(expected, actual)[1]),
        ("chi2", chi_squared(*without_rare(expected, actual))[1]),
        ("shares", two_proportions(expected[:, 0], expected.sum(1), actual[:, 0], actual.sum(1))),
    ):
        called = float(np.mean(p < 0.01))
        print(f"{name} at {rows} rows: {called:.2%} of 3,000 below 1 %")
        assert called < 0.02
