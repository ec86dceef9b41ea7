"""A sequential test of the error: the cumulative sum of E. S. Page (1954), one-sided towards the worse.

Each partition's error is standardised by the mean and spread over the hold-out's partitions. The sum adds a
partition's excess over the mean less a slack `k`, never falls below 0, and crosses at `h`: it detects a small
lasting rise long before any single partition would stand out. With the mean and the spread known, k = 0.5 and
h = 5 cross by chance once in about 930 partitions (Montgomery, Introduction to Statistical Quality Control:
465 for both sides together), and about 10 partitions after a rise of one standard deviation.

Both are estimated, from as few as two partitions, and a spread that came out small by chance would make false
alarms: see `widened_spread`. Errors are rarely quite normal, so no partition adds more than a share of h (a
winsorised sum, Hawkins 1993): one bad partition, however bad, is no lasting rise and does not cross alone.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]

# The most that a partition adds, as a share of h: one does not cross, two bad ones in a row do.
_MOST = 0.6
# The probability at which a standardised value gets the tail of a normal one. The sum is made of many values
# about one to two standard deviations out, not of rare ones; at 97.5 % the rate of false alarms comes out
# as with known parameters (0.2 to 0.5 a year of 365 partitions for 3 to 60 partitions held out, 0.4 known).
_TAIL = 0.975


@dataclass(frozen=True)
class Crossing:
    """Where the cumulative sum of a series of partitions stands after the newest.

    `crossed` says whether `sum` is above h. `since` is the partition in which the present rise began, the one
    after the sum was last 0 (Page's estimate of when the error changed), None while it is 0. `at` is where
    the sum first came above h in the present rise, None if it has not. `scores` are the standardised errors
    of all partitions, positive where worse than promised.
    """

    crossed: bool
    sum: float
    since: str | None
    at: str | None
    scores: list[float] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The crossing as JSON values."""
        return asdict(self)


def cusum(
    errors: Sequence[float],
    promised: float,
    spread: float,
    k: float,
    h: float,
    *,
    partitions: Sequence[str],
    higher_is_better: bool = False,
) -> Crossing:
    """Page's sum over the errors of partitions, oldest first.

    `promised` and `spread` (above 0) are in the unit of the errors: the mean over the hold-out's partitions,
    and their `widened_spread`. `k` and `h` are in spreads; `partitions` are the keys of the errors. Raises
    `ValueError` for a spread that is not above 0, or keys that are more or fewer than the errors.
    """
    if len(errors) != len(partitions):
        raise ValueError(f"{len(errors)} errors of {len(partitions)} partitions: give one for each")
    scores = standardised(errors, promised, spread, higher_is_better=higher_is_better)
    return crossing(scores, k, h, partitions)


def crossing(scores: Floats, k: float, h: float, partitions: Sequence[str]) -> Crossing:
    """Where Page's sum of the scores (n,) of as many partitions stands, oldest first."""
    if not len(scores):
        return Crossing(crossed=False, sum=0.0, since=None, at=None, scores=[])
    sums = page_sums(scores, k, h)
    start = int(np.flatnonzero(np.append(0.0, sums) == 0)[-1])
    above = start + np.flatnonzero(sums[start:] > h)
    return Crossing(
        crossed=bool(sums[-1] > h),
        sum=float(sums[-1]),
        since=partitions[start] if start < len(sums) else None,
        at=partitions[int(above[0])] if len(above) else None,
        scores=scores.tolist(),
    )


def standardised(
    errors: ArrayLike, promised: ArrayLike, spread: ArrayLike, *, higher_is_better: bool = False
) -> Floats:
    """How many spreads (...) each error (..., n) is worse than promised; negative where it is better."""
    if not (np.asarray(spread) > 0).all():
        raise ValueError(f"spread: {spread!r} must be above 0")
    worse = np.asarray(errors, dtype=np.float64) - np.asarray(promised, dtype=np.float64)
    scores: Floats = (-worse if higher_is_better else worse) / np.asarray(spread, dtype=np.float64)
    return scores


def page_sums(scores: Floats, k: float, h: float) -> Floats:
    """The cumulative sum after each of the scores (..., n): max(0, the one before + score - k).

    A score adds at most 0.6 h. It is computed as the sum of all from the start less its lowest value so far.
    """
    steps = np.minimum(scores - k, _MOST * h)
    totals = np.cumsum(steps, axis=-1)
    sums: Floats = totals - np.minimum(np.minimum.accumulate(totals, axis=-1), 0.0)
    return sums


def widened_spread(errors: Collection[float]) -> float | None:
    """The spread to standardise by: the standard deviation of n partitions' errors times `widening(n)`.

    None where there are fewer than two partitions, or all have the same error: nothing to standardise by.
    """
    spread = statistics.stdev(errors) if len(errors) > 1 else 0.0  # exactly 0 for equal errors
    if not (math.isfinite(spread) and spread > 0):
        return None
    return spread * widening(len(errors))


@cache
def widening(partitions: int) -> float:
    """By how much the standard deviation of n partitions falls short: sqrt(1 + 1/n) t(n - 1) / z at 97.5 %.

    A new error less the mean of n, over their standard deviation s, is sqrt(1 + 1/n) times a Student's t of
    n - 1 degrees of freedom: the factor of a prediction interval (Hahn 1969). Divided by s and by this, it is
    above 1.96 as seldom as a normal value is. It is 1.33 for 7 partitions, 1.07 for 28, and tends to 1.
    """
    tail = float(stats.t.ppf(_TAIL, partitions - 1)) / float(stats.norm.ppf(_TAIL))
    return math.sqrt(1 + 1 / partitions) * tail
