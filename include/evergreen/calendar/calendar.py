"""`Calendar`: the partitions of a pipeline, their keys, and the time that each covers."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from math import ceil
from typing import Any

from evergreen.calendar.dates import DateLine, Days, Months, Weeks
from evergreen.calendar.grain import Grain, Weekday
from evergreen.calendar.hours import HourLine
from evergreen.calendar.length import Length
from evergreen.calendar.line import Line
from evergreen.calendar.season import YEAR
from evergreen.calendar.zone import Zone, zone_of
from evergreen.errors import EvergreenError
from evergreen.shown import shown

SNAPSHOT = "snapshot"
"""The only key of a snapshot pipeline."""

LONGEST = Length(max(grain.facts.longest for grain in Grain) // timedelta(days=1) + 1, "day")
"""At least as long as a partition of any grain."""

_DAY = timedelta(days=1)
_EXAMPLE = datetime(2024, 1, 31, 5)  # noqa: DTZ001


class PartitionError(EvergreenError):
    """A partition key that does not fit the pipeline's calendar."""


def period_of(key: str) -> str:
    """The month of a key or an ISO time, taken from its text; for a monthly key the year."""
    return key[: 4 if len(key) == 7 else 7]


@dataclass(frozen=True)
class Calendar:
    """The partitions of one grain: local hours, days, weeks or months of a time zone.

    `timezone` is an IANA name that `check_zone` allows. A day's key is its date, a week's the date of its
    first day (a `week_starts`), a month's `YYYY-MM`, an hour's `YYYY-MM-DDTHH`, with a letter for an hour
    that the clocks repeat (see `hours`). Keys sort as text in the order of time, so text comparisons and
    ranges of keys are correct. Moments are aware; returned moments are in UTC.

    A snapshot has one key, and neither start nor end. `PartitionError` is raised for invalid keys, and
    outside the years 1 to 9999.
    """

    grain: Grain
    timezone: str = "UTC"
    week_starts: Weekday = Weekday.MONDAY

    @property
    def key_format(self) -> str:
        """The `strftime` form of a key; raises `PartitionError` for a snapshot."""
        if self.grain.facts.key_format is None:
            raise PartitionError("a snapshot has no time: its only partition key is 'snapshot'")
        return self.grain.facts.key_format

    @property
    def has_time(self) -> bool:
        """Whether partitions cover periods of time; False for a snapshot."""
        return self.grain.facts.key_format is not None

    @property
    def zone(self) -> Zone:
        """The time zone of local times."""
        return zone_of(self.timezone)

    @property
    def mean_days(self) -> float:
        """The average length of a partition in days; 0 for a snapshot."""
        return self.grain.facts.mean_days

    @property
    def mean_length(self) -> timedelta:
        """The average length of a partition."""
        return timedelta(days=self.mean_days)

    @property
    def has_weeks(self) -> bool:
        """Whether the start of the week matters."""
        return self.grain is Grain.WEEKLY

    @property
    def a_year(self) -> int:
        """How many partitions a year has."""
        return self.grain.facts.a_year

    def check(self, key: str) -> str:
        """The key itself if it is valid in this calendar; otherwise raises `PartitionError`."""
        if not self.has_time:
            if key != SNAPSHOT:
                raise PartitionError(
                    f"'{shown(key)}' is not a partition key of a snapshot pipeline: use 'snapshot'"
                )
            return key
        self._number(key)
        return key

    def start(self, key: str) -> datetime:
        """First moment of the partition, in UTC."""
        return self._moment(self._number(key))

    def end(self, key: str) -> datetime:
        """First moment after the partition, in UTC."""
        return self._moment(self._number(key) + 1)

    def local_bounds(self, key: str) -> tuple[datetime, datetime]:
        """First local time (included) and last (excluded) without an offset that belong to the partition.

        Without `tzinfo`. The bounds of all partitions together include every local time: a repeated time
        belongs to the first partition, a skipped one to the partition after the gap. So the bounds of the
        hour `02b` are empty.
        """
        start, end = (moment.replace(tzinfo=None) for moment in (self.start(key), self.end(key)))
        return self.zone.reached(start), self.zone.reached(end)

    def key_of(self, moment: datetime) -> str:
        """Key of the partition that contains a moment.

        A moment without `tzinfo` is a local time; raises `NoSuchTimeError` if the clocks skip it.
        """
        if not self.has_time:
            return SNAPSHOT
        try:
            at = moment.astimezone(UTC) if moment.tzinfo else self.zone.moment(moment)
            return self._held(at.replace(tzinfo=None))
        except OverflowError:
            raise self._beyond(str(moment)) from None

    def key_of_day(self, day: date) -> str:
        """Key of the partition in which a local day begins; for a skipped day, the next day."""
        if not self.has_time:
            return SNAPSHOT
        return self.key_of_local(datetime.combine(day, time()))

    def key_of_local(self, local: datetime) -> str:
        """Key of the partition whose `local_bounds` include a local time, which may be a skipped one."""
        if not self.has_time:
            return SNAPSHOT
        return self._held(self.zone.first_of(local))

    def shift(self, key: str, steps: int) -> str:
        """The key `steps` partitions later (earlier if negative); a snapshot's only key for any `steps`."""
        if not self.has_time:
            return self.check(key)
        return self._key(self._number(key) + steps)

    def back(self, key: str, length: Length) -> str:
        """The key of the partition that contains the moment `length` before this one's start.

        So a length that is no whole number of partitions is rounded up to one. Whole days are calendar days:
        28 days before a midnight is a midnight. Months are those of the local calendar, and a day that the
        month lacks is its last moment: 1 month before 31 March is 28 or 29 February. What is less than a
        day, such as 6 hours, is elapsed time.
        """
        if not self.has_time:
            return self.check(key)
        if length.in_partitions:
            return self.shift(key, -length.count)
        number, (days, rest) = self._number(key), divmod(length.time, _DAY)
        try:
            if not days and not length.months:
                return self._held(self._line.start(number) - rest)
            local = _months_before(self._line.local(number), length.months) - days * _DAY
            return self._held(self.zone.first_of(local) - rest)
        except (ValueError, OverflowError):
            raise self._beyond(f"{length} before '{key}'") from None

    def ahead(self, key: str, length: Length) -> str:
        """The first key from which `length` back does not go beyond this one.

        So a length that is no whole number of partitions is rounded up to one, and what lies `length` back
        (`back`) and what it is due with (`ahead`) agree: `ahead(key) <= other` if `key <= back(other)`.
        """
        if length.in_partitions or not self.has_time:
            return self.shift(key, length.count)
        found = self.shift(key, self.about(length))
        while self.back(found, length) < key:
            found = self.shift(found, 1)
        while self.back(before := self.shift(found, -1), length) >= key:
            found = before
        return found

    def count(self, length: Length, before: str) -> int:
        """How many partitions a length before the start of one is, also those that it covers in part.

        For a snapshot, the partitions that it names, and 0 if it names none.
        """
        return length.count if length.in_partitions else self.distance(self.back(before, length), before)

    def days(self, length: Length) -> float:
        """How many days a length is on average; partitions of a snapshot have none."""
        if length.in_partitions:
            return length.count * self.mean_days
        return length.months * YEAR / 12 + length.time / _DAY

    def about(self, length: Length) -> int:
        """How many partitions a length is on average, rounded up; as in `count` for a snapshot."""
        if length.in_partitions:
            return length.count
        return ceil(round(self.days(length) / self.mean_days, 6)) if self.has_time else 0

    def between(self, first: str, last: str) -> Iterator[str]:
        """All keys from `first` to `last`, both included; none if `last` is before `first`."""
        if not self.has_time:
            self.check(first), self.check(last)
            yield SNAPSHOT
            return
        for number in range(self._number(first), self._number(last) + 1):
            yield self._key(number)

    def distance(self, first: str, last: str) -> int:
        """How many partitions `last` is after `first` (negative if before); 0 for a snapshot.

        The difference of two cached numbers: a backtest calls this a hundred thousand times.
        """
        if not self.has_time:
            return 0
        return self._number(last) - self._number(first)

    def newest_ended(self, moment: datetime) -> str:
        """The newest key whose partition has ended at or before a moment."""
        return self.shift(self.key_of(moment), -1)

    def next_to_end(self, moment: datetime) -> str:
        """The first key whose partition ends after a moment: the partition that contains it."""
        return self.key_of(moment)

    def ended(self, after: datetime, until: datetime) -> Iterator[str]:
        """The keys whose partitions ended after one moment and not after another, in the order of time."""
        if not self.has_time:
            yield SNAPSHOT
            return
        yield from self.between(self.next_to_end(after), self.newest_ended(until))

    def middle(self, key: str) -> float:
        """The middle of a partition in local days, as in `season`; 0 for a snapshot.

        Every partition is taken to have the mean length, and every day the same length.
        """
        if not self.has_time:
            return 0.0
        try:
            return self._line.day(key) + self.mean_days / 2
        except (ValueError, OverflowError) as error:
            raise PartitionError(self._wrong(key, str(error))) from None

    def like(self, key: str, count: int) -> list[list[str]]:
        """Comparable earlier keys, for each cycle of the grain, the longest cycle first.

        For an hour: the same hour of the same weekday in the `count` weeks before, and the same hour of the
        `count` days before. For a day: the same weekday. Oldest first, without keys that the clocks skipped.
        """
        if not self.has_time:
            return []
        local = self._line.local(self._number(key))
        return [
            [
                found
                for n in range(count, 0, -1)
                if (found := self._line.at(local - timedelta(days=days * n))) is not None
            ]
            for days in self.grain.facts.cycles
        ]

    def counted(self, partitions: int) -> str:
        """A number of partitions in words: `1 day`, `5 weeks`."""
        return f"{partitions} {self.grain.facts.word}{'' if partitions == 1 else 's'}"

    def units(self, count: int) -> str:
        """A number of units of a trial in words: partitions, or the days of partitions that are hours."""
        unit = self.grain.facts.unit
        if unit == 1:
            return self.counted(count)
        return str(Length(round(self.days(Length(count * unit))), "day"))

    def in_words(self, length: Length) -> str:
        """A length in words: `5 days` of a daily pipeline for `5 partitions`, another as it is written."""
        return self.counted(length.count) if length.in_partitions else str(length)

    def last(self, partitions: int) -> str:
        """The newest partitions in words: `the last day`, `the last 5 weeks`."""
        return f"the last {self.counted(partitions) if partitions != 1 else self.grain.facts.word}"

    def on(self, key: str) -> str:
        """When, in words: `on 2024-01-31`, `in the week of 2024-01-29`."""
        return f"{self.grain.facts.on} {key}"

    @cached_property
    def _line(self) -> Line:
        if not self.has_time:
            raise PartitionError("a snapshot has no time: its only partition key is 'snapshot'")
        return _line_of(self.grain, self.timezone, self.week_starts)

    def __reduce__(self) -> tuple[type[Calendar], tuple[Any, ...]]:
        return Calendar, (self.grain, self.timezone, self.week_starts)

    def _held(self, moment: datetime) -> str:
        return self._line.key(self._line.holding(moment))

    def _number(self, key: str) -> int:
        try:
            return self._line.number(key)
        except (ValueError, OverflowError) as error:
            raise PartitionError(self._wrong(key, str(error))) from None

    def _key(self, number: int) -> str:
        try:
            return self._line.key(number)
        except (ValueError, OverflowError):
            raise self._beyond("that partition") from None

    def _moment(self, number: int) -> datetime:
        try:
            return self._line.start(number).replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            raise self._beyond("that partition") from None

    def _beyond(self, what: str) -> PartitionError:
        return PartitionError(f"{what} lies beyond the years 1 to 9999 of {self.timezone}: name a nearer one")

    def _wrong(self, key: str, why: str) -> str:
        """What is wrong with a key, and what to write instead."""
        told = shown(key)
        try:
            local = datetime.strptime(key, self.key_format)  # noqa: DTZ007
        except ValueError:
            local = None
        if local is not None and (named := self._line.at(local)) not in (None, key):
            return (
                f"'{told}' is not a partition key of a {self.grain} pipeline: the partition that holds it is "
                f"'{named}'"
            )
        if why.startswith("the clocks"):
            return f"'{key}' is no partition: {why}"
        return f"'{told}' is not a key of a {self.grain} pipeline: write it like '{self._line.at(_EXAMPLE)}'"


def _months_before(local: datetime, months: int) -> datetime:
    """The same day and time so many months before, or the last moment of a month that lacks the day.

    The last moment and not the same time of the last day, so that a later hour never goes back farther.
    """
    year, month = divmod(local.year * 12 + local.month - 1 - months, 12)
    days = monthrange(year, month + 1)[1]
    if local.day > days:
        return datetime.combine(date(year, month + 1, days), time.max)
    return local.replace(year, month + 1)


@lru_cache(maxsize=256)
def _line_of(grain: Grain, timezone: str, week_starts: Weekday) -> Line:
    """The numbered partitions of a grain; cached, because they keep their own cache of keys."""
    zone = zone_of(timezone)
    match grain:
        case Grain.HOURLY:
            return HourLine(zone)
        case Grain.WEEKLY:
            return DateLine(zone, Weeks(week_starts.number))
        case Grain.MONTHLY:
            return DateLine(zone, Months())
        case _:
            return DateLine(zone, Days())
