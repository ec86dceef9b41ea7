"""How often gate and trial together promote, looked at every night, in worlds whose truth is known.

A draw is a hold-out for the gate and the nights after it. The gate judges the hold-out; where that is
inconclusive, the trial is looked at after every night, and the first night that is clear promotes.
`docs/gate.md` has the table of 1,000 draws, which `make campaign ONLY=trial` takes. `make test` takes few,
and allows for their chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from evergreen.evaluation.bootstrap import serial_variance
from evergreen.evaluation.compare import clearly_worse, clears, compare
from evergreen.evaluation.confidence import FEWEST, reach
from evergreen.evaluation.trial import Pair, trial
from evergreen.metrics import metric_named
from evergreen.metrics.predictions import Predictions
from evergreen.spec import ChampionRule
from tests.campaign import FULL, rounds
from tests.unit.evaluation.test_gate_simulation import Days, Labels, Scores

DRAWS = rounds(20, 1000)
AREAS = rounds(5, 1000)  # areas take long to resample
MARGIN = 0.1
EQUAL = ChampionRule(rounds=300)
NOT_INFERIOR = ChampionRule(margin=MARGIN, rounds=300)
ERROR_RATE = 1 - EQUAL.confidence


@dataclass(frozen=True)
class Tailed(Days):
    """Days of rows with heavy tails: Student's t of 2.5 degrees of freedom."""

    def draw(self, random, error):
        actual, challenger, champion, unit = super().draw(random, error)
        sides = [
            Predictions(side.labels + size * random.standard_t(2.5, len(unit)))
            for side, size in ((challenger, error), (champion, 1.0))
        ]
        return actual, *sides, unit


@dataclass(frozen=True)
class Months(Days):
    """Months of 240 rows, all of which share the errors of their month."""

    def draw(self, random, error):
        unit = np.repeat(np.arange(self.days), 240)
        shared, own, other = (self._days(random)[unit] for _ in range(3))
        sides = [
            Predictions(size * (0.5 * shared + 0.3 * mine + random.normal(size=len(unit))))
            for size, mine in ((error, own), (1.0, other))
        ]
        return np.zeros(len(unit)), *sides, unit


@dataclass(frozen=True)
class Hours(Days):
    """Hours of four rows, all of which share the errors of their day."""

    def draw(self, random, error):
        hours = np.repeat(np.arange(24 * self.days), 4)
        shared, own, other = (self._days(random)[hours // 24] for _ in range(3))
        sides = [
            Predictions(size * (0.5 * shared + 0.3 * mine + random.normal(size=len(hours))))
            for size, mine in ((error, own), (1.0, other))
        ]
        return np.zeros(len(hours)), *sides, hours


@dataclass(frozen=True)
class Surprises(Scores):
    """The same classes and probabilities, by log loss: equal areas have equal ones."""

    metric = "log_loss"


@dataclass(frozen=True)
class Run:
    """A world whose first units are the hold-out. The others are `nights`, of `rows` each if it has no units.

    `together` nights are a unit.
    """

    name: str
    world: object
    nights: int
    rows: int = 0
    together: int = 1
    tightest: int = 90
    draws: int = DRAWS

    def __str__(self) -> str:
        return self.name

    def draw(self, number, level):
        random = np.random.default_rng([number, 11])
        actual, challenger, champion, units = self.world.draw(random, level)
        if self.rows:
            nights = (np.arange(len(actual)) - (len(actual) - self.nights * self.rows)) // self.rows
        else:
            nights = units - (units[-1] + 1 - self.nights)
        sides = [side.beside(self.world.task, actual) for side in (challenger, champion)]
        return sides, nights, units


LENGTH = 200
RUNS = [
    Run("mae, 24 rows a night, correlation 0.4", Days(28 + LENGTH, 0.4), LENGTH),
    Run("mae, heavy tails", Tailed(28 + LENGTH, 0.4), LENGTH),
    Run("accuracy, 100 rows a night", Labels(600 + 100 * LENGTH), LENGTH, 100),
    Run("log_loss, 100 rows a night", Surprises(600 + 100 * LENGTH), LENGTH, 100),
    Run("roc_auc, 60 rows a night", Scores(400 + 60 * LENGTH), LENGTH, 60, draws=AREAS),
    Run("mae, months of 240 rows", Months(12 + 60, 0.4), 60, tightest=12),
    Run("mae, hours of 4 rows", Hours(28 + 60, 0.4), 24 * 60, together=24),
]


class Means:
    """The loss of a metric that is a mean over rows, from sums by night."""

    def __init__(self, metric, sides, nights, count):
        self.rows = np.bincount(nights, minlength=count)
        own, theirs = (np.bincount(nights, self.of_rows(metric, side), count) for side in sides)
        self.own, self.theirs = own, theirs
        self.higher = metric.higher_is_better

    @staticmethod
    def of_rows(metric, side):
        return metric.each(side)

    def losses(self, nights, starts):
        """Champion's value and loss over the first nights, and both without each group of them."""
        rows, own, theirs = (each[:nights] for each in (self.rows, self.own, self.theirs))
        left = [each.sum() - np.add.reduceat(each, starts) for each in (rows, own, theirs)]
        sign = -1 if self.higher else 1
        whole = theirs.sum() / rows.sum()
        loss = sign * (own.sum() / rows.sum() - whole)
        return whole, loss, left[2] / left[0], sign * (left[1] - left[2]) / left[0]


class Pairs:
    """The loss in the area under the curve, from the pairs of a row of each class by night and night."""

    def __init__(self, metric, sides, nights, count):
        self.sizes = [np.bincount(nights[sides[0].actual == c], minlength=count) for c in (1, 0)]
        self.won = [self._won(side, nights, count) for side in sides]

    @staticmethod
    def _won(side, nights, count):
        """How many pairs are in the right order: (i, j) of those in the first i and j nights.

        Scores are drawn from a continuous distribution, so none are tied.
        """
        order = np.argsort(side.probabilities[:, 1])  # searching for what is in order is far quicker
        score, night, true = (each[order] for each in (side.probabilities[:, 1], nights, side.actual == 1))
        own, of, won = score[true], night[true], np.zeros((count + 1, count + 1))
        others = score[~true], night[~true]
        for number in range(count):
            below = np.searchsorted(others[0][others[1] == number], own)
            won[1:, number + 1] = np.bincount(of, below, count)
        return won.cumsum(axis=0).cumsum(axis=1)

    def losses(self, nights, starts):
        positive, negative = (size[:nights] for size in self.sizes)
        pairs = (positive.sum() - np.add.reduceat(positive, starts)) * (
            negative.sum() - np.add.reduceat(negative, starts)
        )
        ends, whole, without = np.append(starts[1:], nights), [], []
        for won in self.won:
            rows = won[ends, nights] - won[starts, nights]
            columns = won[nights, ends] - won[nights, starts]
            both = won[ends, ends] - won[starts, ends] - won[ends, starts] + won[starts, starts]
            whole.append(won[nights, nights] / (positive.sum() * negative.sum()))
            without.append((won[nights, nights] - rows - columns + both) / pairs)
        return whole[1], whole[1] - whole[0], without[1], without[1] - without[0]


def standing(metric, rule, sums, nights, together, tightest=90):
    """Champion's value, loss and reach after so many nights, as `trial` computes them from parts."""
    units = nights // together
    step = together * -(-units // (20 if metric.pools == "rows" else 60))
    value, loss, values, losses = sums.losses(nights, np.arange(0, nights, step))
    allowed = rule.margin * np.abs(values - metric.best) if rule.margin else 0.0
    return value, loss, reach(serial_variance(losses - allowed), units, ERROR_RATE / 2, tightest)


def sums_of(metric, sides, nights, count):
    taken = [side.taken(nights >= 0) for side in sides]
    return (Pairs if metric.pools == "rows" else Means)(metric, taken, nights[nights >= 0], count)


def gate_clears(run, rule, sides, nights, units, number):
    """Whether the gate promotes; None where it leaves the challenger on trial."""
    held = nights < 0
    found = compare(
        run.world.metric,
        *(side.taken(held) for side in sides),
        units=None if units is None else units[held] // run.together,
        rule=rule,
        seed=number,
    )
    return True if clears(found, rule) else False if clearly_worse(found, rule) else None


def first_clear(run, rule, sums):
    """The first night after which the trial promotes, None if none of them does."""
    metric = metric_named(run.world.metric)
    for nights in range(FEWEST * run.together, run.nights + 1):
        value, loss, found = standing(metric, rule, sums, nights, run.together, run.tightest)
        allowed = metric.allowance(value, rule.margin)
        if loss + found <= (allowed if rule.test == "non_inferiority" else -allowed):
            return nights
    return None


def promotions(run, rule, level):
    """How many of the draws the gate promotes, and how many the trial does after it."""
    metric, by_gate, by_trial = metric_named(run.world.metric), 0, 0
    for number in range(run.draws):
        sides, nights, units = run.draw(number, level)
        verdict = gate_clears(run, rule, sides, nights, units, number)
        by_gate += verdict is True
        if verdict is None:
            by_trial += first_clear(run, rule, sums_of(metric, sides, nights, run.nights)) is not None
    return by_gate, by_trial


def allowed(draws):
    """5 % of the draws; of few draws, what so many reach by chance in one of a thousand runs."""
    return ERROR_RATE * draws if FULL else stats.binom.ppf(0.999, draws, ERROR_RATE)


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_the_sums_of_the_simulation_are_what_a_trial_computes(run):
    metric = metric_named(run.world.metric)
    sides, nights, _ = run.draw(0, run.world.worse(0))
    sums = sums_of(metric, sides, nights, run.nights)
    pairs = [
        Pair(*(side.taken(nights == night).part(metric.name) for side in sides))
        for night in range(run.nights)
    ]
    for count in {FEWEST * run.together, run.nights // 3, run.nights}:
        for rule in (EQUAL, NOT_INFERIOR):
            value, loss, found = standing(metric, rule, sums, count, run.together, run.tightest)
            there = trial(metric, rule, pairs[:count], run.together, run.tightest)
            assert [there.champion, there.loss] == pytest.approx([value, loss], rel=1e-6, abs=1e-9)
            assert there.reach == pytest.approx(found, rel=1e-5)


def check(run, what, rule, share, tell):
    by_gate, by_trial = promotions(run, rule, run.world.worse(share))
    tell(f"{run}: {what}: {by_gate} by the gate and {by_trial} by the trial of {run.draws}")
    assert by_gate + by_trial <= allowed(run.draws)


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_an_equal_challenger_is_rarely_promoted_by_gate_or_trial(run, tell):
    check(run, "equal", EQUAL, 0.0, tell)


# How much worse a log loss is at a smaller area has no formula.
@pytest.mark.parametrize("run", [run for run in RUNS if run.world.metric != "log_loss"], ids=str)
def test_a_challenger_worse_by_the_margin_is_rarely_promoted_by_gate_or_trial(run, tell):
    check(run, "worse by the margin", NOT_INFERIOR, MARGIN, tell)


def test_tenths_of_a_month_as_units_would_promote_too_many(tell):
    months = Run("months", Months(60, 0.4), 60)
    metric, promoted = metric_named("mae"), 0
    for number in range(DRAWS):
        sides, nights, _ = months.draw(number, 1.0)
        tenths = Means(metric, sides, nights * 10 + np.arange(len(nights)) // 24 % 10, 600)
        looks = (standing(metric, EQUAL, tenths, 10 * month, 1) for month in range(1, 61))
        promoted += any(loss + found <= 0 for _, loss, found in looks)
    tell(f"months cut into tenths, trial alone: {promoted} of {DRAWS}")
    assert promoted > ERROR_RATE * DRAWS


def test_a_greater_gain_is_clear_earlier(tell):
    run, metric = RUNS[0], metric_named("mae")
    medians, draws = [], rounds(10, 200)
    for gain in (0.05, 0.1, 0.2, 0.4):
        clear = []
        for number in range(draws):
            sides, nights, _ = run.draw(number, run.world.better(gain))
            clear.append(first_clear(run, EQUAL, sums_of(metric, sides, nights, run.nights)) or math.inf)
        medians.append(float(np.median(clear)))
        share = np.isfinite(clear).mean()
        tell(f"{gain:.0%} less error: median night {medians[-1]:g}, {share:.0%} within {run.nights} nights")
    assert medians == sorted(medians, reverse=True)
    assert medians[-1] < 15
