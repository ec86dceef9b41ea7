"""The Jensen-Shannon distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.drift.statistic import ColumnStatistic, Measured, register

if TYPE_CHECKING:
    from evergreen.drift.columns import Columns


@dataclass(frozen=True, kw_only=True)
class JensenShannon(ColumnStatistic):
    """A distance of two distributions from 0 to 1 that empty bins do not upset.

    It is of the bins of the population stability index, and exact of them; see
    `evergreen.drift.distances.jensen_shannon`.

    Example:
        >>> import numpy as np
        >>> from evergreen.drift.distances import jensen_shannon
        >>> print(float(jensen_shannon(np.array([10.0, 0.0]), np.array([0.0, 10.0]))))
        1.0
    """

    def measure(self, columns: Columns) -> Measured:
        """0 where a side has no rows: nothing is compared."""
        import numpy as np

        from evergreen.drift.distances import jensen_shannon

        return Measured({self.name: np.nan_to_num(jensen_shannon(*columns.merged))})


JENSEN_SHANNON = register(
    JensenShannon(
        name="js",
        words="Jensen-Shannon distance",
        short="JS",
        source="J. Lin, IEEE Transactions on Information Theory 37(1), 1991",
    )
)
