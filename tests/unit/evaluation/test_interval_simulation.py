"""How often an interval of 95 % misses to the side that would promote, by kind. `pytest -s` prints the table.

The mean of normal values, one a unit, each correlated with the one before. `docs/gate.md` has the table.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evergreen.evaluation.bootstrap import Resampling, interval, replicates
from evergreen.metrics.sums import Sums
from evergreen.spec import ChampionRule
from tests.campaign import rounds

DRAWS = rounds(1000, 5000)
RULE = ChampionRule(rounds=300)


def correlated(random, units, correlation):
    values = random.normal(size=units)
    for at in range(1, units):
        values[at] = correlation * values[at - 1] + np.sqrt(1 - correlation**2) * values[at]
    return values


def misses(units, correlation):
    """Of `DRAWS`: percentiles, Student's t, and t with neighbours (the gate's) below the true mean, 0."""
    missed = np.zeros(3, dtype=int)
    for number in range(DRAWS):
        values = correlated(np.random.default_rng([number, units]), units, correlation)
        drawn = Resampling.of(np.arange(units), units, RULE, number)
        sums = Sums(np.column_stack([np.ones(units), values]), lambda total: total[:, 1] / total[:, 0])
        found = replicates(drawn, [sums])
        highs = (
            np.quantile(found.drawn, (1 + RULE.confidence) / 2),
            interval(values.mean(), found, replace(drawn, ordered=False), RULE.confidence).high,
            interval(values.mean(), found, drawn, RULE.confidence).high,
        )
        missed += np.array(highs) < 0
    return missed


@pytest.mark.parametrize("units", [7, 14, 28])
@pytest.mark.parametrize("correlation", [0.0, 0.2])
def test_the_gates_interval_keeps_its_rate_and_percentiles_do_not(units, correlation, tell):
    percentile, student, ours = misses(units, correlation)
    tell(f"{units} units, r {correlation}: percentile {percentile}, t {student}, t with neighbours {ours}")
    assert ours <= student < percentile
    assert ours <= (1 - RULE.confidence) * DRAWS


def test_a_strong_correlation_is_met_in_part(tell):
    percentile, student, ours = misses(28, 0.4)
    tell(f"28 units, r 0.4: percentile {percentile}, t {student}, t with neighbours {ours}")
    assert ours < 0.65 * student < 0.65 * percentile
