"""Pearson's chi-squared test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.drift.statistic import ColumnStatistic, Measured, register

if TYPE_CHECKING:
    from evergreen.drift.columns import Columns


@dataclass(frozen=True, kw_only=True)
class ChiSquared(ColumnStatistic):
    """Pearson's statistic of homogeneity of the categories that are not rare, and its probability.

    Exact; see `evergreen.drift.distances.chi_squared` and `without_rare`.

    Example:
        >>> import numpy as np
        >>> from evergreen.drift.distances import chi_squared
        >>> statistic, p = chi_squared(np.array([50.0, 50.0]), np.array([25.0, 75.0]))
        >>> print(round(float(statistic), 2), bool(p < 0.001))
        13.33 True
    """

    def measure(self, columns: Columns) -> Measured:
        """0 with probability 1 where a side has no rows."""
        from evergreen.drift.distances import chi_squared

        statistic, p = chi_squared(*columns.merged)
        return Measured({"statistic": statistic, "p": p}, p=p)


CHI_SQUARED = register(
    ChiSquared(
        name="chi2",
        words="chi-squared test",
        short="chi-squared",
        kinds=("category",),
        tests=True,
        source="K. Pearson, 1900; W. G. Cochran, Biometrics 10(4), 1954",
    )
)
