"""The time that each of some partitions covers, to find the partitions of many moments at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from evergreen.calendar import Calendar
from evergreen.rows.local import TIME


class Spans:
    """Partitions in the order of time; `keys` has them sorted."""

    def __init__(self, calendar: Calendar, keys: Iterable[str]) -> None:
        self.keys = sorted(set(keys))
        self._starts, self._ends = (
            np.array([bound(key).replace(tzinfo=None) for key in self.keys], "datetime64[us]")
            for bound in (calendar.start, calendar.end)
        )

    def places(self, times: pa.Array) -> npt.NDArray[np.int64]:
        """For each of the times (n,) the index of its partition among `keys`, -1 where it is in none."""
        moments = times.cast(TIME).cast(pa.int64()).fill_null(np.iinfo(np.int64).min).to_numpy()
        moments = moments.astype("datetime64[us]")  # the smallest number is NaT, which is in none
        at = np.searchsorted(self._starts, moments, side="right") - 1
        inside = (at >= 0) & (at < len(self.keys)) & ~np.isnat(moments)
        if len(self.keys):
            inside &= moments < self._ends[np.minimum(at, len(self.keys) - 1)]
        return np.where(inside, at, -1)

    def holding(self, times: pa.Array) -> set[str]:
        """The partitions that some of the times lie in."""
        return {self.keys[at] for at in np.unique(self.places(times)) if at >= 0}
