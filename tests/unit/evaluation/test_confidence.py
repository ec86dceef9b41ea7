"""The bound that may be looked at every night, against the formula of its paper and numbers by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.evaluation.confidence import FEWEST, reach

ALPHAS = st.floats(0.001, 0.25)
UNITS = st.integers(FEWEST, 2_000)
VARIANCES = st.floats(1e-6, 1e6)


@pytest.mark.parametrize(
    ("units", "student", "normal"),
    # Quantiles of 97.5 % from printed tables: Student's t of units - 1 degrees of freedom, and the normal.
    [(10, 2.2622, 1.9600), (30, 2.0452, 1.9600), (61, 2.0003, 1.9600)],
)
def test_the_bound_is_that_of_the_paper(units: int, student: float, normal: float) -> None:
    # One side: sigma * sqrt(2 (t rho^2 + 1) / (t^2 rho^2) * log(1 + sqrt(t rho^2 + 1) / (2 alpha)))
    # tightest at t = 90 with rho^2 = (a + log(1 + a)) / 90, a = -2 log(2 alpha) = 5.99146
    sigma, alpha, squared = 3.0, 0.025, (5.99146 + 1.94469) / 90
    inner = 2 * (units * squared + 1) / (units**2 * squared)
    bound = sigma * math.sqrt(inner * math.log(1 + math.sqrt(units * squared + 1) / (2 * alpha)))
    assert reach(sigma**2 / units, units, alpha) == pytest.approx(bound * student / normal, rel=1e-4)


def test_a_bound_by_hand() -> None:
    # 100 units of variance 1, t rho^2 = 8.8179: sqrt(0.022268 * log(1 + sqrt(9.8179) / 0.05)) = 0.304130
    assert reach(0.01, 100, 0.025) == pytest.approx(0.304130 * 1.98422 / 1.95996, rel=1e-4)


@pytest.mark.parametrize("tightest", [8, 12, 90])
def test_it_is_tightest_about_where_it_is_asked_to_be(tightest: int) -> None:
    from scipy import stats

    def against_one_look(units: int) -> float:
        return reach(1.0, units, 0.025, tightest) / stats.t.ppf(0.975, units - 1)

    best = min(range(FEWEST, 1_000), key=against_one_look)
    assert tightest / 1.5 < best < tightest * 1.5


@pytest.mark.parametrize("units", range(FEWEST))
def test_fewer_than_four_units_say_nothing(units: int) -> None:
    assert FEWEST == 4
    assert reach(1.0, units, 0.025) == math.inf
    assert reach(1.0, FEWEST, 0.025) < math.inf


@pytest.mark.parametrize("variance", [math.nan, math.inf, 0.0])
def test_a_variance_that_is_not_known_says_nothing(variance: float) -> None:
    assert reach(variance, 100, 0.025) == math.inf


@given(UNITS, VARIANCES, ALPHAS)
def test_it_is_proportional_to_the_standard_error(units: int, variance: float, alpha: float) -> None:
    assert reach(4 * variance, units, alpha) == pytest.approx(2 * reach(variance, units, alpha))


@given(UNITS, VARIANCES, ALPHAS)
def test_more_units_bring_it_nearer(units: int, variance: float, alpha: float) -> None:
    assert reach(variance / (units + 1), units + 1, alpha) < reach(variance / units, units, alpha)


@given(UNITS, VARIANCES, ALPHAS)
def test_more_confidence_is_farther(units: int, variance: float, alpha: float) -> None:
    assert reach(variance, units, alpha / 2) > reach(variance, units, alpha)


@given(UNITS, ALPHAS)
def test_it_is_wider_than_an_interval_for_one_look(units: int, alpha: float) -> None:
    from scipy import stats

    assert reach(1.0, units, alpha) > stats.t.ppf(1 - alpha, units - 1)
