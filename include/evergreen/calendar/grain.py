"""Grains: the lengths of partitions, and every fact that differs between grains.

To add a grain, add a member of `Grain` with its `Facts`, its row in `evergreen.calendar.defaults`, and if
necessary a way to number its partitions in `line.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from evergreen.calendar.season import YEAR


class Grain(StrEnum):
    """The length of a partition. `snapshot` has no time, and the only key `snapshot`."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    SNAPSHOT = "snapshot"

    @property
    def facts(self) -> Facts:
        """The facts that differ between grains."""
        return _FACTS[self]


class Weekday(StrEnum):
    """The day that a week starts with."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"

    @property
    def number(self) -> int:
        """0 for a Monday to 6 for a Sunday."""
        return list(Weekday).index(self)


@dataclass(frozen=True)
class Facts:
    """The facts of a grain.

    `key_format` is the `strftime` form of a key, None for a snapshot. `word` names a partition in a sentence
    ("the last 5 days"), and `on` is the word before a key ("crossed on 2024-01-31"). `mean_days` is the
    average length of a partition and `longest` the maximum; `a_year` is how many a year has. `cycles` are the
    days after which a comparable partition follows (the same hour of the week, the same hour), the longest
    first. `unit` is how many partitions count as one where models are compared: the hours of a day share its
    weather and its outages. `trial_units` is after about how many of those a trial should be decided.
    """

    key_format: str | None
    word: str
    on: str
    mean_days: float
    longest: timedelta
    a_year: int
    unit: int
    trial_units: int
    cycles: tuple[int, ...] = ()


_FACTS = {
    Grain.HOURLY: Facts("%Y-%m-%dT%H", "hour", "at", 1 / 24, timedelta(hours=1), 8760, 24, 90, (7, 1)),
    Grain.DAILY: Facts("%Y-%m-%d", "day", "on", 1.0, timedelta(hours=25), 365, 1, 90, (7,)),
    Grain.WEEKLY: Facts("%Y-%m-%d", "week", "in the week of", 7.0, timedelta(days=7, hours=1), 52, 1, 12),
    Grain.MONTHLY: Facts("%Y-%m", "month", "in", YEAR / 12, timedelta(days=31, hours=1), 12, 1, 12),
    Grain.SNAPSHOT: Facts(None, "partition", "with", 0.0, timedelta(0), 1, 1, 1),
}
