"""The population stability index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from evergreen.drift.statistic import ColumnStatistic, Limit, Measured, register

if TYPE_CHECKING:
    from evergreen.drift.columns import Columns


@dataclass(frozen=True, kw_only=True)
class PopulationStability(ColumnStatistic):
    """How far the shares of rows in about ten bins have moved, as a symmetric relative entropy.

    0.1 is a shift worth a look, 0.25 a large one: a mean that moves by half a standard deviation makes about
    0.25. Of the bins it is exact; see `evergreen.drift.distances.psi`.

    Example:
        >>> import numpy as np
        >>> from evergreen.drift.distances import psi
        >>> print(round(float(psi(np.array([50.0, 50.0]), np.array([25.0, 75.0]))), 3))
        0.275
    """

    def measure(self, columns: Columns) -> Measured:
        """0 where a side has no rows: nothing is compared."""
        import numpy as np

        from evergreen.drift.distances import psi

        return Measured({self.name: np.nan_to_num(psi(*columns.merged))})


PSI = register(
    PopulationStability(
        name="psi",
        words="population stability index",
        short="PSI",
        aspect="distribution",
        limit=Limit(float, Field(default=0.1, gt=0)),
        source="N. Siddiqi, Credit Risk Scorecards (2006)",
    )
)
