"""How high Page's sum must be for a false alarm to be rare, whatever the law of the scores.

Scores are standardised by an expected spread: while all is well their mean is at most 0 and their variance at
most 1. Nothing else is known of them. The share of rows that a bad day misses is far from normal, and the
usual limit of 8 for a slack of 0.5 would be crossed by chance many times as often. So a score counts at most
`MOST`. Of such scores Bennett's inequality (1962) bounds the exponential moment:

    E exp(t z) <= exp((exp(t m) - 1 - t m) / m**2)    for z <= m, E z <= 0, E z**2 <= 1

With the t at which the exponent is t times the slack, exp(t (z - slack)) has a mean of at most 1. Then the
mean number of scores until the sum first crosses h is at least exp(t h): Lorden, "Procedures for reacting to
a change in distribution", The Annals of Mathematical Statistics 42, 1971; of scores whose law is not known,
Shin, Ramdas and Rinaldo, "E-detectors", The New England Journal of Statistics in Data Science 2, 2024. It
holds for any law and any size of a partition, if a score's mean does not depend on the scores before it.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

SLACK = 0.5
"""What a score is beyond this adds to the sum."""
MOST = 3.0
"""A score counts at most this much: one partition, however bad, is no lasting change."""


def limit(run_length: float) -> float:
    """The limit that is crossed by chance after so many scores on average, or later; 0 for at most one."""
    return math.log(max(run_length, 1.0)) / _exponent()


def capped(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores (n,), each at most `MOST`."""
    return np.minimum(scores, MOST)


@cache
def _exponent() -> float:
    """The t above 0 at which Bennett's exponent is t times the slack."""

    def beyond(t: float) -> float:
        return float((math.exp(t * MOST) - 1 - t * MOST) / MOST**2 - t * SLACK)

    return float(optimize.brentq(beyond, 1e-3, 2 * SLACK))
