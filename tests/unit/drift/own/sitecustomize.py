"""A drift statistic that somebody added, defined here and nowhere else.

Python imports a module of this name when it starts: so a process that the library starts knows it too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evergreen.drift import ColumnStatistic, Limit, Measured, register
from evergreen.drift.columns import Columns
from evergreen.units import Share


@dataclass(frozen=True, kw_only=True)
class Hellinger(ColumnStatistic):
    """A distance from 0 to 1: the root of one less the shares' geometric means."""

    def measure(self, columns: Columns) -> Measured:
        before, now = (side / side.sum(axis=1, keepdims=True) for side in columns.merged)
        return Measured({self.name: np.sqrt(np.maximum(1 - np.sqrt(before * now).sum(axis=1), 0))})


register(Hellinger(name="hellinger", words="Hellinger distance", short="Hellinger", limit=Limit(Share, 0.5)))
