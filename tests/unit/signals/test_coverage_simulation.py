"""How often the signal `coverage` is wrong, and how soon it is right. `pytest -s` prints the table.

A world has a law of how the errors of one partition's rows belong together. Intervals are learnt from its
first partitions, the correlation from its hold-out, and then nothing changes, or all errors grow. No setting
of the signal was chosen by these worlds. `docs/monitoring.md` has the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from evergreen.calendar import Calendar, Grain
from evergreen.intervals.coverage import Covered, correlation
from evergreen.signals.coverage import Coverage, _scores, _Unit
from evergreen.signals.run_length import SLACK, capped, limit
from evergreen.signals.sequential import page_sums
from tests.campaign import rounds, seed

Floats = NDArray[np.float64]

WORLDS = rounds(60, 500)
LEARNT = 60
"""The partitions that intervals are learnt from."""


@dataclass(frozen=True)
class Law:
    """How much larger the errors of a partition are, and how far off to one side, of normal values (n,)."""

    scale: Callable[[Floats], Floats]
    shift: Callable[[Floats], Floats]


def _none(values: Floats) -> Floats:
    return np.zeros_like(values)


LAWS = {
    "independent": Law(np.ones_like, _none),
    "partitions differ a little": Law(lambda g: np.exp(0.2 * g), _none),
    "partitions differ much": Law(lambda g: np.exp(0.5 * g), _none),
    "partitions off to one side": Law(np.ones_like, lambda g: 0.7 * g),
    "1 partition in 20 is bad": Law(lambda g: np.where(g > stats.norm.ppf(0.95), 3.0, 1.0), _none),
    "heavy tails of partitions": Law(lambda g: 1 / np.sqrt(stats.gamma.ppf(stats.norm.cdf(g), 2) / 2), _none),
}


def missed(reach: Floats, scale: Floats, shift: Floats) -> Floats:
    """The probability that an error is beyond `reach` to either side."""
    return stats.norm.sf((reach - shift) / scale) + stats.norm.cdf((-reach - shift) / scale)


def latent(draw: np.random.Generator, size: int, correlated: float) -> Floats:
    """Normal values (worlds, size), each correlated with the one before."""
    found = draw.standard_normal((WORLDS, size))
    for at in range(1, size):
        found[:, at] = correlated * found[:, at - 1] + np.sqrt(1 - correlated**2) * found[:, at]
    return found


@dataclass(frozen=True)
class Case:
    """A grain's partitions of so many `rows`, `held` of them held out, and how many nights are watched."""

    grain: Grain
    nights: int
    rows: int
    held: int

    def __str__(self) -> str:
        return f"{self.grain}, {self.rows} rows, {self.held} held out"

    @property
    def limit(self) -> float:
        return limit(Calendar(self.grain).about(Coverage().run_length) / self.grain.facts.unit)


def alarms(
    law: Law, case: Case, level: float, *, serial: float = 0.0, grown: float = 1.0
) -> tuple[NDArray[np.intp], float]:
    """The first night with an alarm in each world (worlds,), `nights` without; and the share that is held.

    From the first night on errors are `grown` times as large.
    """
    rows, held, nights, h = case.rows, case.held, case.nights, case.limit
    draw = np.random.default_rng([seed(11), rows, held, nights])
    values = latent(draw, LEARNT + held + nights, serial)
    scale, shift = law.scale(values), law.shift(values)
    reach = _reach(scale[:, :LEARNT], shift[:, :LEARNT], 1 - level)[:, None]
    scale[:, -nights:] *= grown
    shift[:, -nights:] *= grown
    chance = missed(reach, scale, shift)[:, LEARNT:]
    counts = draw.binomial(rows, chance)
    allowed = (1 - level) * (1 + Coverage().tolerance)
    first = np.empty(WORLDS, dtype=np.intp)
    for world, found in enumerate(counts):
        of = correlation([Covered(level, rows, rows - one, 1.0) for one in found[:held].tolist()])
        assert of is not None
        units = [_Unit("", "", rows, one) for one in found[held:].tolist()]
        above = page_sums(capped(_scores(units, allowed, of)), SLACK, h) > h
        first[world] = above.argmax() if above.any() else nights
    return first, 1 - float(chance[:, held:].mean())


def _reach(scale: Floats, shift: Floats, share: float) -> Floats:
    """The reach (worlds,) that the given share of the errors learnt from is beyond, by bisection."""
    low, high = np.full(WORLDS, 0.0), np.full(WORLDS, 200.0)
    for _ in range(30):
        middle = (low + high) / 2
        more = missed(middle[:, None], scale, shift).mean(axis=1) > share
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return high


CASES = [
    Case(Grain.DAILY, 365, 24, 7),
    Case(Grain.MONTHLY, 60, 200, 3),
    *rounds(
        [],
        [
            Case(Grain.DAILY, 365, 5, 28),
            Case(Grain.DAILY, 365, 24, 28),
            Case(Grain.DAILY, 365, 500, 7),
            Case(Grain.DAILY, 365, 500, 28),
            Case(Grain.WEEKLY, 104, 200, 6),
            Case(Grain.MONTHLY, 60, 1, 6),
        ],
    ),
]
LEVELS = rounds((0.9,), (0.8, 0.9, 0.99))
MOST = {0.0: 0.15, 0.3: 0.25, 0.6: 0.6}
"""The most worlds with a false alarm, by how much a partition correlates with the one before."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_false_alarms_are_rare_whatever_the_law(case, tell):
    """In a year of days, two of weeks and five of months."""
    for serial, most in MOST.items():
        found = {
            name: max(_wrong(law, case, level, serial) for level in LEVELS) for name, law in LAWS.items()
        }
        told = ", ".join(f"{name} {share:.1%}" for name, share in found.items())
        tell(f"worlds with a false alarm in {case.nights} partitions, r {serial}, worst level: {told}")
        assert max(found.values()) <= most


def _wrong(law: Law, case: Case, level: float, serial: float) -> float:
    first, _ = alarms(law, case, level, serial=serial)
    return float((first < case.nights).mean())


@pytest.mark.parametrize("case", [case for case in CASES if case.rows > 1], ids=str)
def test_intervals_that_miss_far_more_are_found_soon(case, tell):
    for name, law in LAWS.items():
        told = []
        for grown, most in ((1.3, case.nights + 1), (1.6, 60), (2.5, 15)):
            first, share = alarms(law, case, 0.9, grown=grown)
            median = float(np.median(first)) + 1
            told.append(f"{share:.0%} after {median:.0f}" if median <= case.nights else f"{share:.0%} not")
            if name == "independent":
                assert median <= most
        tell(f"{name}: 90% intervals that hold only so much are found: {', '.join(told)}")
