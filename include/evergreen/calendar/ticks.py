"""`Ticks`: the partitions that a tick of a cron takes, and the tick of each partition.

A partition's tick is the first at or after its end. So every partition has exactly one tick, with any cron,
and a tick takes all partitions that have ended since the previous tick: one, several (a weekend, on Monday)
or none (a weekly pipeline on a Tuesday).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from evergreen.calendar.calendar import SNAPSHOT, Calendar
from evergreen.calendar.schedule import Schedule

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Tick:
    """A tick (UTC) and the partitions that it takes, in the order of time."""

    at: datetime
    partitions: tuple[str, ...]


@dataclass(frozen=True)
class Ticks:
    """The partitions of a calendar, taken by ticks of one or more schedules in sequence.

    With two schedules, the partitions of a tick of the first are taken by the first tick of the second at or
    after it, such as ingested by `0 2 * * *` and watched at 06:00.

    For all keys and moments, `at(key) <= moment` is the same as `key <= newest(moment)`.
    """

    calendar: Calendar
    schedules: tuple[Schedule, ...]

    def at(self, key: str) -> datetime:
        """The tick (UTC) that takes a partition; raises `PartitionError` for an invalid key."""
        moment = self.calendar.end(key)
        for schedule in self.schedules:
            moment = schedule.first(moment)
        return moment

    def newest(self, moment: datetime) -> str:
        """The newest partition taken by a tick at or before a moment."""
        for schedule in reversed(self.schedules):
            moment = schedule.last(moment)
        return self.calendar.newest_ended(moment)

    def first_beside(self, key: str) -> str:
        """The first partition of those taken by the same tick as this one."""
        return self.calendar.shift(self.newest(self.at(key) - _INSTANT), 1)

    def in_words(self, tick: Tick) -> tuple[str, str]:
        """A tick for people: its local time, and the partitions that it takes."""
        first, last, count = tick.partitions[0], tick.partitions[-1], len(tick.partitions)
        taken = first if count == 1 else f"{first} to {last} ({self.calendar.counted(count)})"
        return f"{tick.at.astimezone(self.calendar.zone.info):%Y-%m-%d %H:%M} {self.calendar.timezone}", taken

    def following(self, after: datetime, first: str) -> Iterator[Tick]:
        """The ticks after a moment that take partitions; partitions before `first` are left out.

        A snapshot is taken by every tick.
        """
        while not self.calendar.has_time:
            after = self.schedules[0].first(after + _INSTANT)
            yield Tick(after, (SNAPSHOT,))
        key = max(first, self.calendar.shift(self.newest(after), 1))
        while True:
            at = self.at(key)
            last = self.newest(at)
            yield Tick(at, tuple(self.calendar.between(key, last)))
            key = self.calendar.shift(last, 1)
