"""The share of values that training never saw."""

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
class Unseen(ColumnStatistic):
    """The share of values that training never saw, and the one to be expected of further rows like its own.

    Of a number they are those beyond all values of the training, or, if it had only few different ones, any
    other. What lies beyond counts for the distribution too. Tested as the share of missing values is.

    Example:
        >>> print(UNSEEN.told({"unseen": 0.021}))
        never seen 2.1%
    """

    def measure(self, columns: Columns) -> Measured:
        """Exact shares, 0 where a side has no values."""
        import numpy as np

        from evergreen.drift.columns import share
        from evergreen.drift.distances import two_proportions

        before, now = columns.before, columns.now
        # The reference itself has no value that it never saw, further rows like it would have some.
        new = np.maximum(before.unseen + columns.beyond(before), columns.new * before.present)
        other = now.unseen + columns.beyond(now)
        expected, found = share(new, before.present), share(other, now.present)
        p = two_proportions(new, before.present, other, now.present)
        return Measured({"unseen": found, "unseen_before": expected}, effect=found - expected, p=p)

    def told(self, found: Mapping[str, Any]) -> str:
        """The share."""
        return f"never seen {percent(found.get('unseen'))}"

    def effect_in(self, found: Mapping[str, Any]) -> float | None:
        """The excess of the share."""
        if found.get("unseen_before") is None:
            return None
        return float(found["unseen"] - found["unseen_before"])


UNSEEN = register(
    Unseen(
        name="unseen",
        words="share of values never seen beyond what is expected",
        short="never seen",
        limit=Limit(Share, 0.01),
        source="I. J. Good, Biometrika 40, 1953, for the share to be expected",
    )
)
