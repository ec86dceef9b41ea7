"""How often a challenger without any skill beats the baseline, by metric. `pytest -s` prints the table.

Labels are drawn at random, so what a challenger predicts has nothing to do with them: none may become the
first champion beyond the rate that is stated. `make campaign ONLY=chance` takes 1,000 draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from evergreen.evaluation.compare import compare
from evergreen.evaluation.dummy import by_chance, dealt_at_random, dummy_predictions
from evergreen.metrics import METRICS, Metric
from evergreen.metrics.predictions import Predictions
from evergreen.spec import ChampionRule, Task
from tests.campaign import rounds

DRAWS = rounds(30, 1000)
RULE = ChampionRule(rounds=100)
RATE = 1 - RULE.confidence
# A few draws tell a rate of 5 % from one that is far above it, 1,000 hold it.
ALLOWED = rounds(int(stats.binom.ppf(0.999, DRAWS, RATE)), int(RATE * DRAWS))
SHARES = np.array([0.5, 0.3, 0.2])

World = tuple[NDArray[Any], NDArray[Any], Predictions]
"""Known targets, those of the hold-out, and what the challenger says of the hold-out."""


def classes(metric: Metric, random: np.random.Generator, rows: int) -> World:
    """Three classes, and a challenger that names them about as often as they are, not knowing where."""
    return named(random, rows, SHARES)


def thirds(metric: Metric, random: np.random.Generator, rows: int) -> World:
    """The same with three classes that are as frequent: by a mean over classes far better than a constant."""
    return named(random, rows, np.full(3, 1 / 3))


def named(random: np.random.Generator, rows: int, shares: NDArray[Any]) -> World:
    known, actual = (random.choice(3, n, p=shares) for n in (4 * rows, rows))
    likely = random.dirichlet(20 * np.bincount(known, minlength=3) / len(known), rows)
    return known, actual, Predictions(likely.argmax(axis=1), likely, (0, 1, 2))


def evenly(metric: Metric, random: np.random.Generator, rows: int) -> World:
    """Two classes of which one is rare, and a challenger that names each as often, not knowing where."""
    known, actual = ((random.random(n) < 0.15).astype(int) for n in (4 * rows, rows))
    likely = random.random(rows)
    return (
        known,
        actual,
        Predictions((likely > 0.5).astype(int), np.column_stack([1 - likely, likely]), (0, 1)),
    )


def numbers(metric: Metric, random: np.random.Generator, rows: int) -> World:
    """A skewed target, and a challenger that has learnt its noise."""
    known, actual = (random.gamma(2.0, 10.0, n) + 1 for n in (4 * rows, rows))
    return known, actual, Predictions(np.median(known) + random.normal(0, 3, rows))


def halves(metric: Metric, random: np.random.Generator, rows: int) -> World:
    """The same, and a challenger that is the best constant but for a trace, learnt from half of the rows."""
    known, actual = (random.gamma(2.0, 10.0, n) + 1 for n in (4 * rows, rows))
    constant = dummy_predictions(metric, pd.Series(known[::2]), None, rows).labels
    return known, actual, Predictions(constant + random.normal(0, 0.1, rows))


def clusters(metric: Metric, random: np.random.Generator, rows: int) -> World:
    """Points without structure, in clusters that have nothing to do with them."""
    return np.empty(0), random.normal(size=(rows, 2)), Predictions(random.integers(0, 3, rows))


WORLDS: dict[Task, tuple[Callable[[Metric, np.random.Generator, int], World], ...]] = {
    Task.CLASSIFICATION: (classes, thirds, evenly),
    Task.REGRESSION: (numbers, halves),
    Task.CLUSTERING: (clusters,),
}


def promoted(metric: Metric, world: Callable[..., World], rows: int) -> int:
    count = 0
    for number in range(DRAWS):
        known, actual, own = world(metric, np.random.default_rng([number, rows]), rows)
        if metric.task is Task.CLUSTERING:
            sides = [
                side.beside(metric.task, None, space=actual)
                for side in (own, dealt_at_random(own.labels, number))
            ]
        else:
            chance = by_chance(metric, pd.Series(known), None, own, number)
            sides = [side.beside(metric.task, actual) for side in (own, *chance)]
        count += compare(metric.name, *sides, units=None, rule=RULE, seed=number).high < 0
    return count


@pytest.mark.parametrize("rows", rounds([40], [40, 400]))
@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_what_has_no_skill_is_rarely_a_first_champion(metric: Metric, rows: int, tell: Any) -> None:
    for world in WORLDS[metric.task]:
        found = promoted(metric, world, rows)
        tell(f"{metric.name}, {world.__name__}, {rows} rows: {found} of {DRAWS} promoted")
        assert found <= ALLOWED
