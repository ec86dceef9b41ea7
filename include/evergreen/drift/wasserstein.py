"""The Wasserstein distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.drift.statistic import ColumnStatistic, Measured, register

if TYPE_CHECKING:
    from evergreen.drift.columns import Columns


@dataclass(frozen=True, kw_only=True)
class Wasserstein(ColumnStatistic):
    """How far the values have moved on average, in standard deviations of the training values.

    A value beyond those of training counts as their smallest or largest. It is exact but for the width of a
    bin times its share of rows; see `evergreen.drift.distances.wasserstein`.

    Example:
        >>> import numpy as np
        >>> from evergreen.drift.distances import wasserstein
        >>> places = np.array([0.0, 1.0, 2.0])
        >>> print(float(wasserstein(np.array([4.0, 0.0, 0.0]), np.array([0.0, 0.0, 4.0]), places)))
        2.0
    """

    def measure(self, columns: Columns) -> Measured:
        """None where the training values are all alike."""
        from evergreen.drift.distances import wasserstein

        apart = wasserstein(columns.before.values, columns.now.values, columns.centres)
        return Measured({self.name: apart / columns.scales})


WASSERSTEIN = register(
    Wasserstein(
        name="wasserstein",
        words="Wasserstein distance",
        short="Wasserstein",
        kinds=("number",),
        source="L. V. Kantorovich, Mathematical methods of organizing and planning production (1939)",
    )
)
