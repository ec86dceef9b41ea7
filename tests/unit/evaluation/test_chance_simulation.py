"""How often a challenger without any skill becomes the first champion. `pytest -s` prints the table.

Labels are drawn at random, so what a challenger predicts has nothing to do with them: none may become the
first champion beyond the rate that is stated. `make campaign ONLY=chance` takes 1,000 draws.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from evergreen.evaluation.chance import chance
from evergreen.evaluation.compare import compare
from evergreen.evaluation.dummy import baseline_rule, dummy_predictions
from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.gate import judge
from evergreen.metrics import METRICS, Metric
from evergreen.metrics.predictions import Predictions
from evergreen.spec import ChampionRule, Spec, Task
from tests.campaign import rounds, seed
from tests.unit.evaluation.evaluations import spec_of
from tests.unit.metrics.compute import COSTS

DRAWS = rounds(20, 1000)
RATE = 1 - ChampionRule().confidence
# A few draws tell a rate of 5 % from one that is far above it, 1,000 hold it.
ALLOWED = int(stats.binom.ppf(0.999, DRAWS, RATE)) if DRAWS < 1000 else int(RATE * DRAWS)
ROWS = rounds(1, 2)

World = tuple[NDArray[Any], NDArray[Any], Predictions]
"""Known targets, those of the hold-out, and what the challenger says of the hold-out."""


def named(metric: Metric, random: np.random.Generator, rows: int, shares: tuple[float, ...]) -> World:
    """Classes with these shares, and a challenger that names each about as often, not knowing where."""
    known, actual = (random.choice(len(shares), n, p=shares) for n in (4 * rows, rows))
    likely = random.dirichlet(20 * np.array(shares), rows)
    return known, actual, Predictions(likely.argmax(axis=1), likely, tuple(range(len(shares))))


def evenly(metric: Metric, random: np.random.Generator, rows: int) -> World:
    """Two classes of which one is rare, and a challenger that names each as often, not knowing where."""
    known, actual = ((random.random(n) < 0.15).astype(int) for n in (4 * rows, rows))
    likely = random.random(rows)
    both = np.column_stack([1 - likely, likely])
    return known, actual, Predictions((likely > 0.5).astype(int), both, (0, 1))


def numbers(metric: Metric, random: np.random.Generator, rows: int) -> World:
    """A skewed target, and a challenger that has learnt its noise."""
    known, actual = (random.gamma(2.0, 10.0, n) + 1 for n in (4 * rows, rows))
    return known, actual, Predictions(np.median(known) + random.normal(0, 3, rows))


def halves(metric: Metric, random: np.random.Generator, rows: int) -> World:
    """The same, and a challenger that is the best constant but for a trace, learnt from half of the rows."""
    known, actual = (random.gamma(2.0, 10.0, n) + 1 for n in (4 * rows, rows))
    constant = dummy_predictions(metric, pd.Series(known[::2]), None, rows).labels
    return known, actual, Predictions(constant + random.normal(0, 0.1, rows))


TWO = "a rare class, named evenly"
WORLDS: dict[Task, dict[str, Callable[[Metric, np.random.Generator, int], World]]] = {
    Task.CLASSIFICATION: {
        "three classes": partial(named, shares=(0.5, 0.3, 0.2)),
        "three even classes": partial(named, shares=(1 / 3, 1 / 3, 1 / 3)),
        TWO: evenly,
    },
    Task.REGRESSION: {"numbers": numbers, "the best constant of half of the rows": halves},
}


def worlds(metric: Metric) -> dict[str, Callable[[Metric, np.random.Generator, int], World]]:
    """Those of two classes alone for a metric of costs."""
    found = WORLDS[metric.task]
    return {TWO: found[TWO]} if metric.of_costs else found


def is_promoted(spec: Spec, metric: Metric, drawn: World, number: int) -> bool:
    known, actual, said = drawn
    own = said.beside(metric.task, actual, costs=COSTS)
    constant = dummy_predictions(metric, pd.Series(known), None, len(own), costs=COSTS)
    dummy = constant.beside(metric.task, actual, costs=COSTS)
    rule = baseline_rule(spec, first=True).model_copy(update={"rounds": 100})
    found = Evaluation(
        metric=metric.name,
        challenger={metric.name: own.value(metric.name)},
        baseline={metric.name: dummy.value(metric.name)},
        champion=None,
        challenger_on_champion_rows=None,
        rows=len(own),
        compared_rows=0,
        against_baseline=compare(metric.name, own, dummy, units=None, rule=rule, seed=number),
        chance=chance(metric.name, own, spec.champion_rule.one_sided, number),
    )
    return judge(spec, found).promote


@pytest.mark.parametrize("rows", [40, 400][:ROWS])
@pytest.mark.parametrize(
    "metric", [metric for metric in METRICS.values() if metric.task in WORLDS], ids=lambda metric: metric.name
)
def test_what_has_no_skill_is_rarely_a_first_champion(metric: Metric, rows: int, tell: Any) -> None:
    spec = spec_of("mae" if metric.task is Task.REGRESSION else "accuracy")
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"metric": metric.name})})
    for name, world in worlds(metric).items():
        seeds = [np.random.default_rng([seed(number), rows]) for number in range(DRAWS)]
        found = sum(is_promoted(spec, metric, world(metric, one, rows), n) for n, one in enumerate(seeds))
        tell(f"{metric.name}, {name}, {rows} rows: {found} of {DRAWS} promoted")
        assert found <= ALLOWED
