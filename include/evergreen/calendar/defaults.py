"""The lengths of monitoring that follow from the grain, where a description does not say them: one table.

`evergreen.signals.lengths` reads them.
To change a default, change it here. `evergreen check` says in words what they come to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evergreen.calendar.grain import Grain


@dataclass(frozen=True, kw_only=True)
class Written:
    """The lengths of a grain, as a description would write them under the same keys."""

    budget: str
    half_open: str
    over: str
    trailing: str
    missing: str


DEFAULT_LENGTHS: Mapping[Grain, Written] = {
    Grain.HOURLY: Written(
        budget="6 per 30 partitions",
        half_open="168 partitions",
        over="24 partitions",
        trailing="28 days",
        missing="1 partition",
    ),
    Grain.DAILY: Written(
        budget="6 per 30 partitions",
        half_open="28 partitions",
        over="5 partitions",
        trailing="28 days",
        missing="1 partition",
    ),
    Grain.WEEKLY: Written(
        budget="6 per 30 partitions",
        half_open="8 partitions",
        over="3 partitions",
        trailing="28 days",
        missing="1 partition",
    ),
    Grain.MONTHLY: Written(
        budget="6 per 30 partitions",
        half_open="3 partitions",
        over="2 partitions",
        trailing="28 days",
        missing="1 partition",
    ),
    # A snapshot has no time to count in.
    Grain.SNAPSHOT: Written(
        budget="1 per 1 partition",
        half_open="1 partition",
        over="1 partition",
        trailing="1 partition",
        missing="1 partition",
    ),
}
