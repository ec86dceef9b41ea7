"""How often the two rules promote, over many draws of worlds whose truth is known. `pytest -s` prints it.

A draw is a hold-out with its truth and the predictions of a champion and a challenger, whose expected metrics
are set. `docs/gate.md` has the table of 200 draws; `make campaign ONLY=gate` takes 1,000.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from evergreen.evaluation.compare import clears, compare
from evergreen.metrics.predictions import Predictions
from evergreen.spec import ChampionRule, Task
from tests.campaign import rounds

DRAWS = rounds(200, 1000)
SCORES = rounds(50, 1000)  # areas take long to resample
MARGIN = 0.1
# Fewer rounds than in use, so that many draws take seconds: each interval is a little less sure of its width.
ROUNDS = 300
SUPERIOR = ChampionRule(test="superiority", rounds=ROUNDS)
NOT_INFERIOR = ChampionRule(test="non_inferiority", margin=MARGIN, rounds=ROUNDS)
ERROR_RATE = 1 - SUPERIOR.confidence
POWER = 0.9


@dataclass(frozen=True)
class Days:
    """Regression by days of about so many `rows`, mae.

    A row's error is a day's error that both models share, a day's error of the model's own, of the size `own`
    (both remember `memory` of the day before) and noise, all of it times the model's `error`: a model of
    error 0.8 has a mean absolute error that is 20 % lower.
    """

    days: int
    memory: float
    rows: int = 24
    own: float = 0.3

    task = Task.REGRESSION
    metric = "mae"
    draws = DRAWS

    def __str__(self) -> str:
        days = f"{self.days} days of {self.rows} rows, own error {self.own:g}"
        return f"regression mae, {days}, correlation {self.memory}"

    def worse(self, share: float) -> float:
        return 1 + share

    def better(self, share: float) -> float:
        return 1 - share

    def draw(self, random, error):
        unit = np.repeat(np.arange(self.days), np.maximum(random.poisson(self.rows, self.days), 1))
        actual = random.normal(100, 20, len(unit))
        shared = 0.5 * self._days(random)[unit]
        champion, challenger = (
            Predictions(
                actual + size * (shared + self.own * self._days(random)[unit] + random.normal(size=len(unit)))
            )
            for size in (1.0, error)
        )
        return actual, challenger, champion, unit

    def _days(self, random):
        errors = random.normal(size=self.days)
        for day in range(1, self.days):
            errors[day] = self.memory * errors[day - 1] + np.sqrt(1 - self.memory**2) * errors[day]
        return errors


@dataclass(frozen=True)
class Labels:
    """Classes of a snapshot of independent rows, accuracy: the champion is right on 80 % of them."""

    rows: int

    task = Task.CLASSIFICATION
    metric = "accuracy"
    draws = DRAWS

    def __str__(self) -> str:
        return f"classification accuracy, {self.rows} rows"

    def worse(self, share: float) -> float:
        return 1 - 0.2 * (1 + share)

    def better(self, share: float) -> float:
        return 1 - 0.2 * (1 - share)

    def draw(self, random, right):
        actual = random.integers(0, 3, self.rows)
        hard = random.normal(size=self.rows)  # what is hard for one is hard for the other
        sides = []
        for share in (0.8, right):
            luck = stats.norm.cdf((hard + random.normal(size=self.rows)) / np.sqrt(2))
            sides.append(Predictions(np.where(luck < share, actual, (actual + 1) % 3)))
        return actual, sides[1], sides[0], None


@dataclass(frozen=True)
class Scores:
    """Two classes of a snapshot of independent rows, the area under the ROC curve: the champion's is 0.8."""

    rows: int

    task = Task.CLASSIFICATION
    metric = "roc_auc"
    draws = SCORES

    def __str__(self) -> str:
        return f"classification roc_auc, {self.rows} rows"

    def worse(self, share: float) -> float:
        return 1 - 0.2 * (1 + share)

    def better(self, share: float) -> float:
        return 1 - 0.2 * (1 - share)

    def draw(self, random, area):
        actual = (random.random(self.rows) < 0.3).astype(int)
        hard = random.normal(size=self.rows)
        sides = []
        for share in (0.8, area):
            # Two normal distributions of this distance have that area.
            distance = np.sqrt(2) * stats.norm.ppf(share)
            score = distance * actual + (hard + random.normal(size=self.rows)) / np.sqrt(2)
            likely = stats.norm.cdf(score - distance / 2)
            sides.append(
                Predictions((likely > 0.5).astype(int), np.column_stack([1 - likely, likely]), (0, 1))
            )
        return actual, sides[1], sides[0], None


# With how much less error (of mae, of wrong labels, of 1 - area) a challenger is clearly better here.
WORLDS = [
    (Days(7, 0.4), 0.5),
    (Days(28, 0.4), 0.25),
    (Labels(600), 0.4),
    (Scores(400), 0.5),
]

# Two or three days: their rows are compared in stretches, unless the days differ for the models.
FEW = [
    Days(days, 0.4, rows, own)
    for days in rounds((2,), (2, 3))
    for rows in rounds((100,), (30, 100, 300))
    for own in rounds((0.3,), (0.0, 0.3))
]


def promotions(world, rule, level) -> int:
    """How many of the draws with a challenger of this level clear the rule."""
    promoted = 0
    for number in range(world.draws):
        random = np.random.default_rng([number, 4])
        actual, challenger, champion, units = world.draw(random, level)
        sides = (side.beside(world.task, actual) for side in (challenger, champion))
        found = compare(world.metric, *sides, units=units, rule=rule, seed=number)
        verdict = clears(found, rule)
        assert (verdict is None) == (found.blocks < 2)
        promoted += bool(verdict)
    return promoted


@pytest.fixture
def report(tell):
    """Says how many were promoted, and returns their share."""

    def say(world, what, promoted) -> float:
        tell(f"{world}: {what}: {promoted} of {world.draws} promoted")
        return promoted / world.draws

    return say


@pytest.mark.parametrize("world", [*(world for world, _ in WORLDS), *FEW], ids=str)
def test_an_equal_challenger_is_rarely_superior(world, report):
    promoted = promotions(world, SUPERIOR, world.worse(0))
    assert report(world, "equal, superiority", promoted) <= ERROR_RATE


@pytest.mark.parametrize("world", [*(world for world, _ in WORLDS), *FEW], ids=str)
def test_a_challenger_worse_by_the_margin_is_rarely_not_inferior(world, report):
    promoted = promotions(world, NOT_INFERIOR, world.worse(MARGIN))
    assert report(world, "worse by the margin, non-inferiority", promoted) <= ERROR_RATE


@pytest.mark.parametrize("rule", [SUPERIOR, NOT_INFERIOR], ids=lambda rule: rule.test)
@pytest.mark.parametrize(("world", "share"), WORLDS, ids=str)
def test_a_clearly_better_challenger_is_promoted(world, share, rule, report):
    promoted = promotions(world, rule, world.better(share))
    assert report(world, f"{share:.0%} less error, {rule.test}", promoted) >= POWER


@pytest.mark.parametrize("world", FEW, ids=str)
def test_few_days_show_a_great_gain_more_often_than_none(world, report):
    equal = promotions(world, SUPERIOR, world.worse(0))
    for share in (0.25, 0.5):
        better = promotions(world, SUPERIOR, world.better(share))
        report(world, f"{share:.0%} less error, superiority", better)
        assert better > 3 * equal


@pytest.mark.parametrize("days", [7, 28])
def test_a_greater_gain_is_promoted_more_often(days, report):
    world, shares = Days(days, 0.4), (0.1, 0.2, 0.3, 0.4)
    found = [promotions(world, SUPERIOR, world.better(share)) for share in shares]
    for share, promoted in zip(shares, found, strict=True):
        report(world, f"{share:.0%} less error, superiority", promoted)
    assert found == sorted(found)
    assert found[0] < found[-1]
