"""Distances between two distributions kept as counts, and tests of whether chance explains them.

Every function takes arrays whose last axis runs over the bins and gives one number for each of the rest, so
that all features are measured in one call. Counts need not be whole numbers: rows that are weighted count as
the number of independent rows they are worth. Where a side has no rows, a distance is NaN and the probability
of a test 1, for nothing can be compared.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincc, chdtrc, kolmogorov, rel_entr

Floats = npt.NDArray[np.float64]

PARTS = 10
FEW = 5.0  # expected rows, under which the laws of large numbers do not hold


def psi(expected: Floats, actual: Floats) -> Floats:
    """Population stability index of two arrays of counts over the same bins, in natural units.

    Sum over the bins of (a - e) ln(a / e), a and e the shares of rows: N. Siddiqi, *Credit Risk Scorecards*
    (2006). A bin that is empty on one side is counted there as half a row, for the logarithm of zero has no
    value; a bin empty on both sides is left out.
    """
    used = (expected > 0) | (actual > 0)
    e = np.where(used, _shares(np.maximum(expected, 0.5), expected), 1.0)
    a = np.where(used, _shares(np.maximum(actual, 0.5), actual), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        index = _sum((a - e) * np.log(a / e))
    return np.where(_together(expected, actual) > 0, index, np.nan)


def jensen_shannon(expected: Floats, actual: Floats) -> Floats:
    """Jensen-Shannon distance, from 0 to 1: the square root of the divergence in bits.

    J. Lin, "Divergence measures based on the Shannon entropy", *IEEE Transactions on Information Theory*
    37(1), 1991.
    """
    e, a = _shares(expected, expected), _shares(actual, actual)
    middle = (e + a) / 2
    divergence = _sum(rel_entr(e, middle) + rel_entr(a, middle)) / 2
    # Rounding may leave it a little under zero.
    return np.asarray(np.sqrt(np.maximum(divergence, 0) / np.log(2)))


def wasserstein(expected: Floats, actual: Floats, centres: Floats) -> Floats:
    """Wasserstein distance of order 1, every row taken as lying at the centre of its bin; in their unit.

    From the distance of the rows themselves it differs at most by the sum, over the bins, of the two sides'
    shares of rows times the largest distance of a row in the bin from its centre; it is equal where every row
    lies at a centre. The centres ascend.
    """
    apart = np.abs(_cumulative(expected) - _cumulative(actual))[..., :-1]
    with np.errstate(over="ignore", invalid="ignore"):
        return _sum(apart * np.diff(centres, axis=-1))


def kolmogorov_smirnov(expected: Floats, actual: Floats) -> tuple[Floats, Floats]:
    """The largest distance of the two distribution functions at the bins' edges, and its probability.

    From below it differs from the statistic of the rows themselves at most by the largest share of rows that
    either side has in one bin; it is equal where the rows only lie at edges. The probability of at least this
    distance if both sides come from one distribution is that of the limit law (A. Kolmogorov, 1933;
    N. Smirnov, 1948), which is an upper bound where values are tied and so also for the bins.
    """
    statistic = np.nan_to_num(np.max(np.abs(_cumulative(expected) - _cumulative(actual)), axis=-1))
    return statistic, np.asarray(kolmogorov(np.sqrt(_together(expected, actual)) * statistic))


def chi_squared(expected: Floats, actual: Floats) -> tuple[Floats, Floats]:
    """Pearson's statistic of homogeneity of the two sides, and its probability if they are alike.

    One degree of freedom less than there are bins that either side has rows in.
    """
    both = expected + actual
    e, a = _shares(expected, expected), _shares(actual, actual)
    pooled = _shares(np.where(both > 0, both, 1.0), both)
    statistic = np.nan_to_num(_together(expected, actual) * _sum(_divided((e - a) ** 2, pooled)))
    freedom = (both > 0).sum(axis=-1) - 1
    p = np.where(freedom > 0, chdtrc(np.maximum(freedom, 1), statistic), 1.0)
    return statistic, p


def two_proportions(found: Floats, rows: Floats, other: Floats, other_rows: Floats) -> Floats:
    """The probability of shares as unlike as found / rows and other / other_rows if chance alone parts them.

    Likelihood-ratio test (S. S. Wilks, 1938); where fewer than `FEW` are to be expected on a side, of those
    found or of the rest, the exact test of two rates given their sum, both tails (J. Przyborowski and
    H. Wilenski, *Biometrika* 31, 1940).
    """
    share = _divided(found + other, rows + other_rows)
    compared = (rows > 0) & (other_rows > 0) & (share > 0) & (share < 1)
    share = np.where(compared, share, 0.5)
    # Weighted rows may be a rounding fewer than those found among them.
    observed = np.maximum(np.stack([found, rows - found, other, other_rows - other]), 0)
    chance = np.stack([rows * share, rows * (1 - share), other_rows * share, other_rows * (1 - share)])
    ratio = chdtrc(1, np.maximum(2 * np.sum(rel_entr(observed, chance), axis=0), 0))
    seldom = np.where(share <= 0.5, observed[::2], observed[1::2])
    exact = _of_rates(seldom[0], seldom[1], np.nan_to_num(_divided(rows, rows + other_rows)))
    return np.where(compared, np.where(chance.min(axis=0) < FEW, exact, ratio), 1.0)


def benjamini_hochberg(p: Floats) -> Floats:
    """The smallest false discovery rate at which each is significant, in the shape of `p`.

    Y. Benjamini and Y. Hochberg, *Journal of the Royal Statistical Society B* 57(1), 1995.
    """
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(p, axis=None)).reshape(p.shape)


def in_parts(expected: Floats, actual: Floats, parts: int = PARTS) -> tuple[Floats, Floats]:
    """Neighbouring bins of (n, bins) added up into `parts` of about equally many rows of the first side.

    A bin goes to the part in which its middle row lies. One that holds more than two parts' rows is so never
    added to an empty one beside it: a constant stays apart from what lies below and above it.
    """
    middle = np.cumsum(expected, axis=-1) - expected / 2
    share = np.nan_to_num(_divided(middle, expected.sum(axis=-1)[..., None]))
    place = np.minimum(parts * share, parts - 1)
    flat = (place.astype(np.int64) + parts * np.arange(len(expected))[:, None]).ravel()
    size = parts * len(expected)
    first, second = (
        np.bincount(flat, weights=side.ravel(), minlength=size).astype(float).reshape(-1, parts)
        for side in (expected, actual)
    )
    return first, second


def without_rare(expected: Floats, actual: Floats) -> tuple[Floats, Floats]:
    """The rarest of (n, bins) added up until chance puts `FEW` rows of the smaller side there.

    A last bin is added for them; the others keep their places. Pearson's test does not keep its level over
    bins that hardly any row is expected in: W. G. Cochran, "Some methods for strengthening the common
    chi-squared tests", *Biometrics* 10(4), 1954.
    """
    both = expected + actual
    rows, other = expected.sum(axis=-1), actual.sum(axis=-1)
    chance = np.nan_to_num(_divided(both * np.minimum(rows, other)[..., None], (rows + other)[..., None]))
    order = np.argsort(chance, axis=-1, kind="stable")
    ascending = np.take_along_axis(chance, order, axis=-1)
    before = np.cumsum(ascending, axis=-1) - ascending
    rare = np.empty(both.shape, dtype=bool)
    np.put_along_axis(rare, order, (ascending < FEW) | (before < FEW), axis=-1)
    first, second = (
        np.concatenate([np.where(rare, 0, side), np.where(rare, side, 0).sum(axis=-1)[..., None]], axis=-1)
        for side in (expected, actual)
    )
    return first, second


def _of_rates(found: Floats, other: Floats, part: Floats) -> Floats:
    """Twice the smaller tail of the binomial law of `found` out of both, at most 1."""
    above = np.where(found > 0, betainc(np.maximum(found, 1e-300), other + 1, part), 1.0)
    below = np.where(other > 0, betaincc(found + 1, np.maximum(other, 1e-300), part), 1.0)
    return np.asarray(np.minimum(2 * np.minimum(above, below), 1))


def _together(expected: Floats, actual: Floats) -> Floats:
    """n m / (n + m) of the two sides' rows."""
    rows, other = expected.sum(axis=-1), actual.sum(axis=-1)
    return np.nan_to_num(_divided(rows * other, rows + other))


def _shares(counts: Floats, of: Floats) -> Floats:
    return _divided(counts, of.sum(axis=-1)[..., None])


def _cumulative(counts: Floats) -> Floats:
    return _shares(np.cumsum(counts, axis=-1), counts)


def _divided(over: Floats, under: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(over / under)


def _sum(terms: Floats) -> Floats:
    return np.asarray(np.sum(terms, axis=-1))
