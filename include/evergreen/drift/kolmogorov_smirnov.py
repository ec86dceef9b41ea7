"""The test of Kolmogorov and Smirnov."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.drift.statistic import ColumnStatistic, Measured, register

if TYPE_CHECKING:
    from evergreen.drift.columns import Columns


@dataclass(frozen=True, kw_only=True)
class KolmogorovSmirnov(ColumnStatistic):
    """The largest difference of the distribution functions at the bins' edges, and its probability.

    At most the largest share of rows in one bin too small; see
    `evergreen.drift.distances.kolmogorov_smirnov`.

    Example:
        >>> import numpy as np
        >>> from evergreen.drift.distances import kolmogorov_smirnov
        >>> statistic, p = kolmogorov_smirnov(np.array([50.0, 50.0]), np.array([90.0, 10.0]))
        >>> print(round(float(statistic), 2), bool(p < 0.001))
        0.4 True
    """

    def measure(self, columns: Columns) -> Measured:
        """0 with probability 1 where a side has no rows."""
        from evergreen.drift.distances import kolmogorov_smirnov

        statistic, p = kolmogorov_smirnov(columns.before.values, columns.now.values)
        return Measured({"statistic": statistic, "p": p}, p=p)


KOLMOGOROV_SMIRNOV = register(
    KolmogorovSmirnov(
        name="ks",
        words="test of Kolmogorov and Smirnov",
        short="KS",
        kinds=("number",),
        tests=True,
        source="A. Kolmogorov, 1933; N. Smirnov, 1948",
    )
)
