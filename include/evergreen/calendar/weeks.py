"""The weeks that partitions of any grain belong to: the one in which they end."""

from __future__ import annotations

from datetime import date, timedelta

from evergreen.calendar.calendar import Calendar
from evergreen.calendar.grain import Grain

_INSTANT = timedelta(microseconds=1)


def week_of(calendar: Calendar, key: str) -> str:
    """The local week in which a partition ends: the date of its first day, a `week_starts`.

    A partition of a week is its own week. Raises `PartitionError` for a key that does not fit the calendar,
    and for a snapshot, which has no weeks.
    """
    return _weeks(calendar).key_of(calendar.end(key) - _INSTANT)


def week_with(calendar: Calendar, day: date) -> str:
    """The week that a local day lies in, as in `week_of`."""
    return _weeks(calendar).key_of_day(day)


def partitions_of_week(calendar: Calendar, week: str) -> list[str]:
    """The partitions that end in a week, oldest first: seven days, one week, at most one month.

    A day that the clocks skip is none of them, and an hour that they repeat is there twice.
    """
    weeks = _weeks(calendar)
    return list(calendar.ended(weeks.start(week), weeks.end(week)))


def _weeks(calendar: Calendar) -> Calendar:
    return Calendar(Grain.WEEKLY, calendar.timezone, calendar.week_starts)
