"""What a drafted description begins with, by grain, and which grain the moments of rows suggest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evergreen.calendar.grain import Grain

FEWEST = 10
"""Partitions that there must be at least: with fewer there is nothing to hold out and to learn from."""

UNTIMED = Grain.SNAPSHOT
"""The grain of rows that belong together."""

_FILLED = 0.5  # of the partitions between the first and the last have rows
_MONDAY = np.datetime64("1970-01-05", "D")


@dataclass(frozen=True)
class Draft:
    """What a description of a grain begins with.

    `schedule` is its cron, and `when` that in words. The first training waits for `waits_for` partitions at
    most, and takes those within `window`; a snapshot has neither. `fewest` partitions suggest the grain.
    """

    schedule: str
    when: str
    window: str | None = None
    waits_for: int = 0
    fewest: int = FEWEST


DRAFTS: Mapping[Grain, Draft] = {
    Grain.DAILY: Draft("0 3 * * *", "each night, the day that has ended", "365 days", 60),
    Grain.WEEKLY: Draft("0 3 * * 1", "Monday night, the week that has ended", "104 partitions", 26),
    Grain.MONTHLY: Draft(
        "0 3 1 * *", "the first night of a month, the month that has ended", "60 months", 18
    ),
    # Tried last: days that are all full are partitions of hours only where there are few of them.
    Grain.HOURLY: Draft("10 * * * *", "ten minutes after each hour", "28 days", 168, fewest=72),
    Grain.SNAPSHOT: Draft("0 3 * * 1", "Monday night, all rows anew"),
}


def grain_of(moments: NDArray[np.datetime64]) -> tuple[Grain, int, int] | None:
    """The grain of rows of these moments (n,), how many of its partitions have rows, and how many there are
    from the first to the last; None where no grain has enough.
    """
    for grain, draft in DRAFTS.items():
        if grain is UNTIMED:
            continue
        numbers = _numbers(grain, moments)
        there, span = len(np.unique(numbers)), int(numbers.max() - numbers.min()) + 1
        if there >= draft.fewest and there >= _FILLED * span:
            return grain, there, span
    return None


def _numbers(grain: Grain, moments: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """The number (n,) of the partition of each moment; partitions that follow one another count on."""
    if grain is Grain.WEEKLY:
        return (moments.astype("datetime64[D]") - _MONDAY).astype(np.int64) // 7
    unit = {Grain.HOURLY: "h", Grain.DAILY: "D", Grain.MONTHLY: "M"}[grain]
    return moments.astype(f"datetime64[{unit}]").astype(np.int64)
