"""What a hold-out shows, and how long a trial takes: by hand, by scipy, and against the gate itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evergreen.calendar import Calendar, Grain
from evergreen.evaluation.compare import Comparison, clears, compare
from evergreen.evaluation.confidence import reach
from evergreen.evaluation.power import (
    GAIN,
    MOST_UNITS,
    POWER,
    compared_in_words,
    in_words,
    nights_needed,
    smallest_gain,
    standard_error,
    trial_in_words,
    trial_units,
)
from evergreen.evaluation.trial import Trial
from evergreen.metrics.predictions import Predictions
from evergreen.spec import ChampionRule, Gate, Spec, Task, Training
from evergreen.spec.features import Features
from tests.campaign import rounds
from tests.unit.evaluation.test_gate_simulation import Days
from tests.unit.monitoring.kiosk_records import KIOSK

EQUAL = ChampionRule()
RULES = [
    ChampionRule(margin=margin, test=test)
    for margin in (0.0, 0.1)
    for test in ("non_inferiority", "superiority")
]


def comparison(
    error: float, champion: float = 40.0, blocks: int = 28, metric: str = "mae", **more: Any
) -> Comparison:
    """A comparison of equal models, whose loss has this standard error."""
    half = error * stats.t.ppf(0.975, blocks - 1)
    found = Comparison(metric, 672, blocks, champion, champion, 0.0, -half, half, 0.95, 1_000, units=blocks)
    return replace(found, **more)


def of(grain: Grain = Grain.DAILY, metric: str = "mae", **rule: Any) -> Spec:
    training = Training.model_validate(
        {"metric": metric, "candidates": [{"estimator": "sklearn.linear_model.Ridge"}]}
    )
    task = Task.REGRESSION if metric in ("mae", "r2") else Task.CLASSIFICATION
    gate = Gate(champion=ChampionRule(**rule))
    update = {"partition": grain, "training": training, "gate": gate, "task": task, "features": Features()}
    return KIOSK.model_copy(update=update)


def test_the_standard_error_is_that_of_the_mean_of_the_losses() -> None:
    random = np.random.default_rng(0)
    actual = random.normal(100, 20, 800)
    sides = [actual + random.normal(0, size, 800) for size in (4.0, 5.0)]
    measured = [Predictions(side).beside(Task.REGRESSION, actual) for side in sides]
    rule = ChampionRule(rounds=5_000)
    found = compare("mae", *measured, units=None, rule=rule, seed=1)
    losses = np.abs(sides[0] - actual) - np.abs(sides[1] - actual)
    assert found.units is None
    # A standard deviation from 5,000 rounds is known to 1 %.
    assert standard_error(found) == pytest.approx(stats.sem(losses), rel=0.05)


def test_the_smallest_gain_by_hand() -> None:
    # 28 days: t of 27 degrees of freedom 2.0518, z(0.8) = 0.8416. (2.0518 + 0.8416) * 1 / 40 = 7.23 %
    assert smallest_gain(comparison(1.0), EQUAL) == pytest.approx(0.07233, abs=1e-5)
    # 7 days: t of 6 degrees of freedom 2.4469
    assert smallest_gain(comparison(1.0, blocks=7), EQUAL) == pytest.approx(0.08221, abs=1e-5)
    # An accuracy of 0.9 is 0.1 from a perfect one: 2.8934 * 0.005 / 0.1
    accurate = comparison(0.005, champion=0.9, metric="accuracy")
    assert smallest_gain(accurate, EQUAL) == pytest.approx(0.14467, abs=1e-5)


def test_a_margin_is_asked_for_or_given() -> None:
    found = comparison(1.0)
    superior = ChampionRule(test="superiority", margin=0.1)
    assert smallest_gain(found, superior) == pytest.approx(0.17233, abs=1e-5)
    assert smallest_gain(found, ChampionRule(margin=0.1)) == pytest.approx(-0.02767, abs=1e-5)


@pytest.mark.parametrize("blocks", [5, 7, 14, 28, 100, 1_000])
def test_such_a_gain_is_seen_in_four_of_five_cases(blocks: int) -> None:
    """By the noncentral t distribution, which is exact for normal losses."""
    found = comparison(1.0, blocks=blocks)
    gain = smallest_gain(found, EQUAL)
    assert gain is not None
    quantile = stats.t.ppf(0.975, blocks - 1)
    power = stats.nct.sf(quantile, blocks - 1, gain * found.champion / standard_error(found))
    assert power == pytest.approx(POWER, abs=0.04)


@pytest.mark.parametrize("world", [Days(7, 0.0), Days(14, 0.0), Days(28, 0.0), Days(28, 0.4)], ids=str)
def test_the_gate_promotes_such_a_gain_in_four_of_five_cases(
    world: Days, tell: Callable[[str], None]
) -> None:
    """The real bootstrap, on hold-outs whose challenger gains what others of its kind say is needed."""
    rule, draws = ChampionRule(rounds=rounds(100, 300)), rounds(100, 500)

    def drawn(number: int, share: float) -> Comparison:
        random = np.random.default_rng([7, number])
        actual, challenger, champion, unit = world.draw(random, world.better(share))
        sides = [side.beside(world.task, actual) for side in (challenger, champion)]
        return compare(world.metric, *sides, units=unit, rule=rule, seed=number)

    found = (smallest_gain(drawn(number, 0.2), rule) for number in range(rounds(40, 200)))
    said = [one for one in found if one is not None]
    gain = float(np.mean(said))
    passed = sum(clears(drawn(10_000 + number, gain), rule) is True for number in range(draws))
    low, high = np.quantile(said, [0.1, 0.9])
    tell(f"{world}: {gain:.3f} ({low:.3f} to {high:.3f}) said to be seen, {passed} of {draws} promoted")
    # Of few hold-outs the mean of what they say is less sure.
    fewest, most = stats.binom.ppf(0.001, draws, 0.74), stats.binom.ppf(0.999, draws, 0.88)
    assert fewest <= passed <= most


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("variance", "tightest"), [(0.01, 90), (0.05, 90), (0.002, 12), (0.0001, 12)])
def test_the_units_of_a_trial_are_the_first_that_suffice(
    rule: ChampionRule, variance: float, tightest: int
) -> None:
    """By the bound's formula and a search from below."""
    alpha = (1 - rule.confidence) / 2
    wanted = -2 * math.log(2 * alpha)
    squared = (wanted + math.log(wanted + 1)) / tightest
    room = GAIN + (-rule.margin if rule.test == "superiority" else rule.margin)

    def needed(units: int) -> float:
        sigma = math.sqrt(variance)
        inner = 2 * (units * squared + 1) / (units**2 * squared)
        bound = sigma * math.sqrt(inner * math.log(1 + math.sqrt(units * squared + 1) / (2 * alpha)))
        few = stats.t.ppf(1 - alpha, units - 1) / stats.norm.ppf(1 - alpha)
        return bound * few + stats.norm.ppf(0.8) * sigma / math.sqrt(units)

    first = next((units for units in range(4, 1_001) if needed(units) <= room), None)
    assert trial_units(variance, rule, tightest) == first


@given(st.floats(1e-5, 0.2), st.floats(0.01, 0.5))
def test_a_larger_gain_never_needs_longer(variance: float, gain: float) -> None:
    small, large = (trial_units(variance, EQUAL, gain=one) for one in (gain, 2 * gain))
    assert small is None or (large is not None and 4 <= large <= small <= MOST_UNITS)


def test_a_day_of_hours_is_a_unit_as_a_day_is() -> None:
    """The gate resamples hours by their days, so as exact a hold-out needs as many days of trial."""
    found = comparison(1.0)
    assert nights_needed(of(Grain.HOURLY), found) == nights_needed(of(), found) == 108
    assert Calendar(Grain.HOURLY).units(9) == Calendar(Grain.DAILY).units(9) == "9 days"
    assert [Calendar(grain).units(1) for grain in Grain if grain is not Grain.SNAPSHOT] == [
        "1 day",
        "1 day",
        "1 week",
        "1 month",
    ]


NOTHING = [
    comparison(0.0),
    comparison(math.nan),
    comparison(1.0, champion=0.0),
    comparison(1.0, champion=math.nan),
    replace(comparison(1.0), blocks=1),
]


@pytest.mark.parametrize("found", NOTHING)
def test_nothing_is_said_where_nothing_is_known(found: Comparison) -> None:
    assert smallest_gain(found, EQUAL) is None
    assert in_words(of(), found) == ""


@pytest.mark.parametrize(
    ("spec", "found", "said"),
    [
        (
            of(),
            comparison(1.0),
            "this hold-out shows a gain of 7.2% or more in 4 of 5 cases; a gain of 5% needs about 108 days "
            "of trial",
        ),
        (of(), comparison(0.5), "this hold-out shows a gain of 3.6% or more in 4 of 5 cases"),
        (
            of(Grain.MONTHLY),
            comparison(8.0, blocks=6),
            "this hold-out shows a gain of 68% or more in 4 of 5 cases; a gain of 5% needs more than 1000 "
            "months of trial",
        ),
        (of(Grain.SNAPSHOT), comparison(1.0, units=None), "this hold-out shows a gain of 7.2% or more"),
        (
            of(),
            comparison(1.0, units=None),
            "this hold-out shows a gain of 7.2% or more in 4 of 5 cases",
        ),
        (of(), comparison(20.0, blocks=7), "this hold-out is too small to show any gain; a gain of 5% needs"),
        (
            of(margin=0.1),
            comparison(1.0),
            "this hold-out lets a challenger pass that is as good as the champion in 4 of 5 cases",
        ),
        (
            of(margin=0.1, test="superiority"),
            comparison(1.0),
            "this hold-out shows a gain of 17% or more in 4 of 5 cases; a gain of 5% is never enough, "
            "because more than 10% is asked for",
        ),
        (
            of(metric="accuracy"),
            comparison(0.005, champion=0.9, metric="accuracy"),
            "this hold-out shows a gain of 14% of the distance from 1 or more in 4 of 5 cases; a gain of 5% "
            "needs about",
        ),
    ],
)
def test_in_words(spec: Spec, found: Comparison, said: str) -> None:
    assert in_words(spec, found).startswith(said)


def test_what_earlier_comparisons_say_by_the_rule_of_now() -> None:
    found = comparison(1.0)
    versions = {"v3": found, "v2": replace(found, low=-9.0, high=-1.0), "v1": comparison(1.0, metric="rmse")}
    shows = (
        "v3: this hold-out shows a gain of 7.2% or more in 4 of 5 cases; a gain of 5% needs about 108 days"
    )
    assert compared_in_words(of(), versions) == (
        f"{shows} of trial. At a margin of 0% 1 of the last 2 comparisons would be inconclusive"
    )
    # A margin of 10 % allows a loss of 4; the interval reaches to 2.05.
    said = compared_in_words(of(margin=0.1), {"v3": found})
    assert said.endswith("At a margin of 10% it would not be inconclusive")
    unknown = "how large a gain can be seen is known after the first comparison with a champion"
    assert compared_in_words(of(), {}) == unknown
    assert compared_in_words(of(), {"v1": comparison(1.0, metric="rmse")}) == unknown
    nothing = replace(found, low=math.nan, high=math.nan)
    assert "shows nothing: no interval could be computed" in compared_in_words(of(), {"v4": nothing})


def test_a_trial_says_what_the_hold_out_would_have() -> None:
    """28 days on trial, whose standard error is that of a hold-out of 28 days."""
    spec, found = of(), comparison(1.0)
    wide = reach(standard_error(found) ** 2, 28, 0.025)
    trial = Trial("open", 40.0, 40.0, 0.0, wide, 0.0, 672, 28)
    assert trial_in_words(spec, trial) == "a gain of 5% needs about 108 days of trial"
    assert in_words(spec, found).endswith(trial_in_words(spec, trial))
    assert trial_in_words(spec, replace(trial, reach=math.inf)) == ""
    assert trial_in_words(spec, replace(trial, champion=0.0)) == ""
