"""A bound that holds at any time: how far a mean over growing evidence may be from the truth.

An asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, "Time-uniform central
limit theory and asymptotic confidence sequences", The Annals of Statistics 52): the mean may be looked at
after every unit and the looking may stop on any of them, and still the truth is beyond the bound on one side
with a probability of at most alpha. An interval for a fixed number of units has no such promise: looked at
every night, it is wrong sooner or later.
"""

from __future__ import annotations

import math

from scipy import special

FEWEST = 4
"""Fewer units say nothing: their variance is hardly known."""


def reach(variance: float, units: int, alpha: float, tightest: int = 90) -> float:
    """How far to one side the bound lies from an estimate over so many units of this `variance`.

    `variance` is that of the estimate itself. It is estimated from the units, so the bound is wider by the
    ratio of Student's quantile to the normal one. It is tightest at about `tightest` units, and little wider
    from a quarter to four times as many. Infinite for fewer than 4 units, and where the variance is not
    known: units that do not vary at all have not shown theirs yet.
    """
    if units < FEWEST or not 0 < variance < math.inf:
        return math.inf
    wanted = -2 * math.log(2 * alpha)
    grown = units * (wanted + math.log(wanted + 1)) / tightest
    width = math.sqrt(2 * (grown + 1) / grown * math.log1p(math.sqrt(grown + 1) / (2 * alpha)))
    few = float(special.stdtrit(units - 1, 1 - alpha) / special.ndtri(1 - alpha))
    return math.sqrt(variance) * width * few
