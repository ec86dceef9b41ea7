"""The share of rows without a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.drift.statistic import ColumnStatistic, Limit, Measured, register
from evergreen.numbers import percent
from evergreen.units import Share

if TYPE_CHECKING:
    from evergreen.drift.columns import Columns


@dataclass(frozen=True, kw_only=True)
class Missing(ColumnStatistic):
    """The share of rows without a value, and that of the reference; more and fewer of them count alike.

    Tested by likelihood ratio, or exactly where few rows are to be expected; see
    `evergreen.drift.distances.two_proportions`.

    Example:
        >>> print(MISSING.told({"missing": 0.08, "missing_before": 0.02}))
        missing 8% against 2%
    """

    def measure(self, columns: Columns) -> Measured:
        """Exact shares, 0 where a side has no rows."""
        import numpy as np

        from evergreen.drift.columns import share
        from evergreen.drift.distances import two_proportions

        before, now = columns.before, columns.now
        was, found = share(before.missing, before.rows), share(now.missing, now.rows)
        p = two_proportions(before.missing, before.rows, now.missing, now.rows)
        return Measured({"missing": found, "missing_before": was}, effect=np.abs(found - was), p=p)

    def told(self, found: Mapping[str, Any]) -> str:
        """Both shares."""
        return f"missing {percent(found.get('missing'))} against {percent(found.get('missing_before'))}"

    def effect_in(self, found: Mapping[str, Any]) -> float | None:
        """The change of the share."""
        if found.get("missing_before") is None:
            return None
        return float(abs(found["missing"] - found["missing_before"]))


MISSING = register(
    Missing(
        name="missing",
        words="change of the share of missing values",
        short="missing",
        limit=Limit(Share, 0.03),
        source="S. S. Wilks, 1938; J. Przyborowski and H. Wilenski, Biometrika 31, 1940",
    )
)
