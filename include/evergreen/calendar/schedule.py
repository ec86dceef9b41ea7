"""`Schedule`: the ticks of a cron in a time zone.

A cron names local times. When clocks change, they are converted to moments by the rule of Airflow's own cron
timetables:

- A skipped time is moved forward by the length of the gap: 02:30 ticks at 03:30.
- A repeated time ticks only the second time, so that a nightly run is never repeated; but an hourly cron
  (`0 * * * *`) ticks both times, so that no hour is left out.

Two times of a cron at the same moment are one tick, and ticks are in the order of time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from evergreen.calendar.zone import zone_of

if TYPE_CHECKING:
    from croniter import croniter

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_FIRST = datetime(2000, 1, 1)  # noqa: DTZ001
_DRAWN = re.compile(r"(^|[ ,])[hHrR]")


@lru_cache(maxsize=1024)
def check_cron(expression: str) -> str:
    """The expression itself if it is a cron that ticks; otherwise raises `ValueError` with the problem."""
    from croniter import CroniterBadDateError

    if _DRAWN.search(expression):
        raise ValueError(f"'{expression}' is random: write the minute and the hour")
    try:
        _walk(expression, _FIRST).get_next(datetime)
    except CroniterBadDateError:
        raise ValueError(f"'{expression}' never ticks: no month that it names has such a day") from None
    except ValueError as error:
        raise ValueError(f"'{expression}' is no cron: {error}") from None
    return expression


@dataclass(frozen=True)
class Schedule:
    """A cron that `check_cron` allows, in a time zone that `check_zone` allows. Moments are aware, in UTC."""

    cron: str
    timezone: str = "UTC"

    def __str__(self) -> str:
        return f"{self.cron} ({self.timezone})"

    def first(self, moment: datetime) -> datetime:
        """The first tick at or after a moment."""
        return self._nearest(moment, later=True)

    def last(self, moment: datetime) -> datetime:
        """The last tick at or before a moment."""
        return self._nearest(moment, later=False)

    def _nearest(self, moment: datetime, later: bool) -> datetime:
        """Walk the cron's local times away from a moment, until no later one can be nearer to it."""
        moment = moment.astimezone(UTC)
        best: datetime | None = None
        for local in self._times(_naive(moment) + self._offsets(moment)[not later], later):
            if best is not None and self._is_past(local, best, later):
                return best
            for tick in self._moments(local):
                if (tick >= moment if later else tick <= moment) and (
                    best is None or (tick < best if later else tick > best)
                ):
                    best = tick
            if best is not None and len(set(self._offsets(best))) == 1:
                return best
        raise AssertionError("a cron has no end")

    def _is_past(self, local: datetime, best: datetime, later: bool) -> bool:
        low, high = self._offsets(best)
        return local > _naive(best) + high if later else local < _naive(best) + low

    def _times(self, start: datetime, later: bool) -> Iterator[datetime]:
        """The cron's local times from a given one (included), forwards or backwards."""
        minute = start.replace(second=0, microsecond=0)
        if later:
            walk = _walk(self.cron, minute - _MINUTE if minute == start else minute).get_next
        else:
            walk = _walk(self.cron, minute + _MINUTE).get_prev
        while True:
            yield walk(datetime)

    def _moments(self, local: datetime) -> tuple[datetime, ...]:
        """The moments of a local time of the cron, by this module's rule."""
        # `fold` 1 is the second of two; for a skipped time it gives the offset after the gap.
        one, other = (local.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if one < other and self._every_hour:
            return one, other
        return (max(one, other),)

    def _offsets(self, moment: datetime) -> tuple[timedelta, timedelta]:
        """The smallest and largest offset from UTC within a day of a moment."""
        found = [(moment + step).astimezone(self._zone).utcoffset() for step in (-_DAY, timedelta(0), _DAY)]
        known = [offset for offset in found if offset is not None]
        return min(known), max(known)

    @property
    def _zone(self) -> ZoneInfo:
        return zone_of(self.timezone).info

    @cached_property
    def _every_hour(self) -> bool:
        return bool(_walk(self.cron, _FIRST).expanded[1] == ["*"])


def _walk(cron: str, start: datetime) -> croniter:
    from croniter import croniter

    return croniter(cron, start)


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)
