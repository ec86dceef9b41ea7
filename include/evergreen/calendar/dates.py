"""Partitions of whole local days: days, weeks and months.

Local time that the clocks repeat belongs to the newest day that has begun.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from evergreen.calendar.line import Line
from evergreen.calendar.season import WEEK
from evergreen.calendar.zone import TICK, Changes, Stretch, Zone


class Dates(ABC):
    """The grouping of days into partitions, and their keys; independent of time zones."""

    @abstractmethod
    def number(self, day: date) -> int:
        """The number of the partition that contains a day."""

    @abstractmethod
    def first(self, number: int) -> date:
        """The first day of a partition."""

    def key(self, number: int) -> str:
        """The key of a partition: its first day."""
        return self.first(number).isoformat()

    def parsed(self, key: str) -> int:
        """The number of a key; raises `ValueError` for an invalid key of this grain."""
        return self.number(date.fromisoformat(key))


class Days(Dates):
    """Days, by their number in `date.toordinal`."""

    def number(self, day: date) -> int:
        """The number of a day."""
        return day.toordinal()

    def first(self, number: int) -> date:
        """The day itself."""
        return date.fromordinal(number)


@dataclass(frozen=True)
class Weeks(Dates):
    """Weeks that start with a weekday, 0 for a Monday."""

    starts: int

    def number(self, day: date) -> int:
        """The number of the week that contains a day."""
        return (day.toordinal() - 1 - self.starts) // WEEK

    def first(self, number: int) -> date:
        """Its first day."""
        return date.fromordinal(number * WEEK + 1 + self.starts)


class Months(Dates):
    """Months since the year 0."""

    def number(self, day: date) -> int:
        """The number of the month that contains a day."""
        return day.year * 12 + day.month - 1

    def first(self, number: int) -> date:
        """Its first day."""
        return date(number // 12, number % 12 + 1, 1)

    def key(self, number: int) -> str:
        """Its year and month."""
        return self.first(number).isoformat()[:7]

    def parsed(self, key: str) -> int:
        """The number of a year and month."""
        return self.number(date.fromisoformat(f"{key}-01"))


class DateLine(Line):
    """Partitions of whole local days. `_skipped` are the numbers of the days that the clocks skipped."""

    def __init__(self, zone: Zone, dates: Dates) -> None:
        super().__init__(zone)
        self._dates = dates
        self._known: tuple[Changes, tuple[int, ...]] | None = None

    def holding(self, moment: datetime) -> int:
        """The number of the partition that contains a moment."""
        changes = self.zone.changes(moment.year)
        stretch = changes.stretches[changes.index(moment)]
        local = moment + stretch.offset
        named = self._dates.number(local if local >= stretch.reached else stretch.reached - TICK)
        return named - bisect_left(self._skipped(local.year), named)

    def local(self, number: int) -> datetime:
        """The first midnight of a partition."""
        return datetime.combine(self._dates.first(self._named(number)), time())

    def at(self, local: datetime) -> str | None:
        """The key of the partition that contains a local time; None if the clocks skipped its day."""
        named = self._dates.number(local)
        return None if named in self._skipped(local.year) else self._dates.key(named)

    def _number(self, key: str) -> int:
        named = self._dates.parsed(key)
        if self._dates.key(named) != key:
            raise ValueError(key)
        skipped = self._skipped(self._dates.first(named).year)
        if named in skipped:
            raise ValueError(f"the clocks in {self.zone.name} skip this day")
        return named - bisect_left(skipped, named)

    def _key(self, number: int) -> str:
        return self._dates.key(self._named(number))

    def _start(self, number: int) -> datetime:
        return self.zone.first_of(self.local(number))

    def _named(self, number: int) -> int:
        """The partition's number in `Dates`, which counts skipped days too."""
        skipped = self._skipped(self._dates.first(number).year)
        for place, named in enumerate(skipped):
            if number < named - place:
                return number + place
        return number + len(skipped)

    def _skipped(self, year: int) -> tuple[int, ...]:
        changes = self.zone.changes(year)
        if self._known is None or self._known[0] is not changes:
            found = [named for stretch in changes.stretches[1:] for named in self._passed_by(stretch)]
            self._known = changes, tuple(found)
        return self._known[1]

    def _passed_by(self, stretch: Stretch) -> list[int]:
        if stretch.first - stretch.reached < timedelta(days=1):
            return []
        low, high = self._dates.number(stretch.reached - TICK) + 1, self._dates.number(stretch.first)
        return list(range(low, high))
