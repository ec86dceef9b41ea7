"""Distributions kept as counts, and how far one lies from another (population stability index).

A numeric feature is counted in the deciles of its training rows, a category by its values; rows without a
value are counted apart. A reference therefore stays small, and measuring a partition reads only that
partition.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

Counts = npt.NDArray[np.float64]
Histogram = dict[str, Any]

BINS = 10
CONFIDENCE = 0.999


@dataclass(frozen=True)
class FeatureDrift:
    """How far one feature's values lie from the reference.

    `bound` is what chance alone stays under at this number of rows; `drifted` says that `psi` is above it
    and above the limit of the description.
    """

    psi: float
    bound: float
    drifted: bool

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def histogram(values: pd.Series, bins: int = BINS) -> Histogram:
    """The distribution of the values as plain data.

    Numbers: `{"kind": "number", "edges": [...], "counts": [...], "missing": n}` with at most `bins` bins of
    about equally many rows, closed on the right, the outer ones open-ended. Everything else, and booleans:
    `{"kind": "category", "values": [...], "counts": [...], "missing": n}`.
    """
    if is_numeric_dtype(values.dtype) and not is_bool_dtype(values.dtype):
        known = _finite(values)
        edges = _edges(known, bins)
        return {
            "kind": "number",
            "edges": edges.tolist(),
            "counts": _binned(known, edges).tolist(),
            "missing": int(values.isna().sum()),
        }
    counts = values.dropna().astype(str).value_counts().sort_index()
    return {
        "kind": "category",
        "values": list(counts.index),
        "counts": [int(count) for count in counts],
        "missing": int(values.isna().sum()),
    }


def counts_in(reference: Histogram, values: pd.Series) -> tuple[Counts, Counts]:
    """The reference's counts and those of the values in the same bins, both of the same length.

    The last two bins are rows without a value, and values that are no number or a category the reference
    does not have.
    """
    expected = np.array([*reference["counts"], reference["missing"], 0], dtype=float)
    missing = int(values.isna().sum())
    if reference["kind"] == "number":
        known = _finite(values)
        inside = _binned(known, np.array(reference["edges"], dtype=float))
    else:
        found = values.dropna().astype(str).value_counts()
        inside = np.array([found.get(value, 0) for value in reference["values"]], dtype=float)
    strange = len(values) - missing - inside.sum()
    return expected, np.array([*inside, missing, strange], dtype=float)


def psi(expected: Counts, actual: Counts) -> float:
    """Population stability index of two arrays of counts over the same bins, in natural units.

    Sum over the bins of (a - e) ln(a / e), a and e the shares of rows: N. Siddiqi, *Credit Risk Scorecards*
    (2006). A bin that is empty on one side is counted there as half a row, for the logarithm of zero has no
    value; a bin empty on both sides is left out. NaN if either side has no rows.
    """
    used = (expected > 0) | (actual > 0)
    if not expected.sum() or not actual.sum():
        return float("nan")
    e = np.maximum(expected[used], 0.5) / expected.sum()
    a = np.maximum(actual[used], 0.5) / actual.sum()
    return float(np.sum((a - e) * np.log(a / e)))


def psi_bound(expected: Counts, actual: Counts, confidence: float = CONFIDENCE) -> float:
    """What the index stays under, with this confidence, if both sides come from one distribution.

    (1/n + 1/m) times the quantile of chi-squared with one degree of freedom less than there are bins:
    B. Yurdakul and J. Naranjo, "Statistical properties of the population stability index", *Journal of Risk
    Model Validation* 14(4), 2020. Rows are taken as independent of one another.
    """
    bins = int(((expected > 0) | (actual > 0)).sum())
    if bins < 2 or not expected.sum() or not actual.sum():
        return 0.0
    return float(_chi_squared(confidence, bins - 1) * (1 / expected.sum() + 1 / actual.sum()))


def feature_drift(reference: Histogram, values: pd.Series, limit: float) -> FeatureDrift:
    """Drift of one feature: above the limit on the index, and more than chance at this number of rows."""
    expected, actual = counts_in(reference, values)
    index, bound = psi(expected, actual), psi_bound(expected, actual)
    return FeatureDrift(index, bound, bool(index > limit and index > bound))


def _finite(values: pd.Series) -> Counts:
    if not is_numeric_dtype(values.dtype):
        values = pd.to_numeric(values, errors="coerce")
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    return np.asarray(numbers[np.isfinite(numbers)], dtype=float)


@lru_cache
def _chi_squared(confidence: float, freedom: int) -> float:
    from scipy.stats import chi2

    return float(chi2.ppf(confidence, freedom))


def _edges(known: Counts, bins: int) -> Counts:
    if not len(known):
        return np.array([], dtype=float)
    # Edges are values that occur, so that no bin of the reference is empty.
    inner = np.unique(np.quantile(known, np.arange(1, bins) / bins, method="inverted_cdf"))
    # An edge at the largest value would leave a last bin that no row of the reference is in.
    return np.asarray(inner[inner < known.max()], dtype=float)


def _binned(known: Counts, edges: Counts) -> Counts:
    places = np.searchsorted(edges, known, side="left")
    return np.bincount(places, minlength=len(edges) + 1).astype(float)
