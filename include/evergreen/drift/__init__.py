"""Drift statistics: each in one module, all in one registry. See docs/statistics.md for those there are.

To add one, write a module that registers it and import it here; nothing else need be touched.
"""

# These modules register what they define. Their order is that in which what drifted of a column is told.
from evergreen.drift import psi, missing, unseen  # noqa: F401, I001
from evergreen.drift import jensen_shannon, wasserstein, kolmogorov_smirnov, chi_squared, joint  # noqa: F401
from evergreen.drift.statistic import (
    STATISTICS,
    ColumnStatistic,
    Limit,
    Measured,
    Statistic,
    column_statistics,
    limited,
    limits,
    most_drifted,
    register,
    test_of,
    told,
)

__all__ = [
    "STATISTICS",
    "ColumnStatistic",
    "Limit",
    "Measured",
    "Statistic",
    "column_statistics",
    "limited",
    "limits",
    "most_drifted",
    "register",
    "test_of",
    "told",
]
