"""The lengths of monitoring that follow from the grain, where a description does not say them: one table.

`evergreen.signals.lengths` reads them. To change a default, change it here. `evergreen check` says in words
what they come to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evergreen.calendar.grain import Grain


@dataclass(frozen=True, kw_only=True)
class Written:
    """The lengths of a grain, as a description would write them under the same keys."""

    half_open: str
    over: str
    budget: str = "6 per 30 partitions"
    trailing: str = "28 days"
    missing: str = "1 partition"


DEFAULT_LENGTHS: Mapping[Grain, Written] = {
    Grain.HOURLY: Written(half_open="168 partitions", over="24 partitions"),
    Grain.DAILY: Written(half_open="28 partitions", over="5 partitions"),
    Grain.WEEKLY: Written(half_open="8 partitions", over="3 partitions"),
    Grain.MONTHLY: Written(half_open="3 partitions", over="2 partitions"),
    # A snapshot has no time to count in.
    Grain.SNAPSHOT: Written(
        half_open="1 partition", over="1 partition", budget="1 per 1 partition", trailing="1 partition"
    ),
}
