"""Calendars: grains, keys, lengths, time zones, arithmetic, ticks. The only package that knows time."""

from __future__ import annotations

from evergreen.calendar.calendar import LONGEST, SNAPSHOT, Calendar, PartitionError, period_of
from evergreen.calendar.grain import Grain, Weekday
from evergreen.calendar.length import Length
from evergreen.calendar.schedule import Schedule, check_cron
from evergreen.calendar.season import WEEK, YEAR, days_of_year_apart, weekday
from evergreen.calendar.ticks import Tick, Ticks
from evergreen.calendar.weeks import partitions_of_week, week_of, week_with
from evergreen.calendar.zone import UTC_ZONE, NoSuchTimeError, Zone, check_zone, zone_of

__all__ = [
    "LONGEST",
    "SNAPSHOT",
    "UTC_ZONE",
    "WEEK",
    "YEAR",
    "Calendar",
    "Grain",
    "Length",
    "NoSuchTimeError",
    "PartitionError",
    "Schedule",
    "Tick",
    "Ticks",
    "Weekday",
    "Zone",
    "check_cron",
    "check_zone",
    "days_of_year_apart",
    "partitions_of_week",
    "period_of",
    "week_of",
    "week_with",
    "weekday",
    "zone_of",
]
