"""Time zones: the changes of their clocks, and the conversion of times without an offset.

A time without an offset, such as `2024-03-31 02:30` in `Europe/Berlin`, is *local*. One rule for all of them:
a repeated time is the first of the two moments (as `fold=0` of PEP 495), and a skipped time is invalid:
`NoSuchTimeError`. `Zone.moment` implements the rule, and `Zone.moments` the same for arrays.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_FIRST_YEAR = 1840  # no zone of the tz database has an earlier change
_STEP = timedelta(days=3)  # no zone was ever changed and changed back within this
_DAY = timedelta(days=1)  # no longer gap was ever skipped
_SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
"""The unit of times in arrays."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
_FIRST, _LAST = datetime.min, datetime.max  # noqa: DTZ901


class NoSuchTimeError(ValueError):
    """A local time that the clocks skip."""


@dataclass(frozen=True)
class Stretch:
    """Time between two changes of a zone's clocks.

    `at` is its first moment (UTC), `first` the local time of the clocks then, and `offset` their offset from
    UTC. `reached` is the latest local time that the clocks had reached before: all earlier times were shown
    or skipped already. None has a `tzinfo`.
    """

    at: datetime
    first: datetime
    offset: timedelta
    reached: datetime


class Changes:
    """The stretches of a zone up to some year, in the order of time, and the search among them."""

    def __init__(self, stretches: tuple[Stretch, ...], until: int) -> None:
        self.stretches = stretches
        self.until = until
        self._at = [stretch.at for stretch in stretches]
        self._reached = [stretch.reached for stretch in stretches]

    @cached_property
    def columns(self) -> dict[str, npt.NDArray[np.int64]]:
        """The stretches' `at`, `first`, `reached` and `offset`, each (n,): microseconds, of times since 1970.

        They are made once: a time of the year 9999 makes 16,000 stretches of a zone with summer time.
        """
        import numpy as np

        columns = {
            name: np.array([_since_1970(getattr(stretch, name)) for stretch in self.stretches])
            for name in ("at", "first", "reached")
        }
        return columns | {"offset": np.array([stretch.offset // TICK for stretch in self.stretches])}

    def index(self, moment: datetime) -> int:
        """The stretch that contains a moment (UTC without `tzinfo`)."""
        return bisect_right(self._at, moment) - 1

    def index_of_local(self, local: datetime) -> int:
        """The stretch in which the clocks first reached a local time, or skipped it."""
        return bisect_right(self._reached, local) - 1


class Zone:
    """A time zone by its IANA name; create it by `zone_of`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.info = ZoneInfo(name)
        start = _FIRST if name == "UTC" else datetime(_FIRST_YEAR, 1, 1)  # noqa: DTZ001
        first = Stretch(_FIRST, _FIRST, self._offset(start), _FIRST)
        self._changes = Changes((first,), MAXYEAR if name == "UTC" else _FIRST_YEAR)

    def changes(self, year: int) -> Changes:
        """The stretches of time up to the end of a year, or later; cached."""
        if self._changes.until < min(year + 2, MAXYEAR):
            self._changes = self._extended(min(year + 4, MAXYEAR))
        return self._changes

    def moment(self, local: datetime) -> datetime:
        """The moment (UTC) of a local time, by this module's rule.

        Raises `NoSuchTimeError` for a skipped time. A time whose moment would be outside the years 1 to 9999
        becomes the first or last representable moment.
        """
        local = local.replace(tzinfo=None)
        changes = self.changes(local.year)
        stretch = changes.stretches[changes.index_of_local(local)]
        if local < stretch.first:
            raise NoSuchTimeError(self.why_none(local))
        try:
            return (local - stretch.offset).replace(tzinfo=UTC)
        except OverflowError:
            # A placeholder for "never" becomes the first or last representable moment.
            return (_LAST if local.year == MAXYEAR else _FIRST).replace(tzinfo=UTC)

    def first_of(self, local: datetime) -> datetime:
        """The first moment (UTC without `tzinfo`) at which the clocks show at least a local time."""
        changes = self.changes(local.year)
        stretch = changes.stretches[changes.index_of_local(local)]
        return stretch.at if stretch.first > local else local - stretch.offset

    def reached(self, moment: datetime) -> datetime:
        """The local time that the clocks have reached just before a moment (UTC without `tzinfo`)."""
        changes = self.changes(moment.year)
        stretch = changes.stretches[changes.index(moment)]
        return stretch.reached if moment == stretch.at else max(stretch.reached, moment + stretch.offset)

    def why_none(self, local: datetime) -> str:
        """Why a local time is invalid, in words."""
        changes = self.changes(local.year)
        stretch = changes.stretches[changes.index_of_local(local)]
        form = "%H:%M" if stretch.reached.date() == stretch.first.date() else "%Y-%m-%d %H:%M"
        return (
            f"{local.isoformat(sep=' ')} does not exist in {self.name}, where the clocks went from "
            f"{stretch.reached:{form}} to {stretch.first:{form}}"
        )

    def moments(self, local: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Local times (n,) in microseconds since 1970 as moments (n,) in the same unit, and which exist (n,).

        The moment of a time that does not exist is undefined.
        """
        table, among = self._among(local, "reached")
        return _within_years(local, table["offset"][among]), local >= table["first"][among]

    def day_starts(
        self, midnights: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """The first moments of the days of local midnights (n,), and which days exist (n,); see `moments`."""
        import numpy as np

        table, among = self._among(midnights, "reached")
        local = np.maximum(midnights, table["first"][among])
        return _within_years(local, table["offset"][among]), local - midnights < _DAY // TICK

    def locals(self, moments: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The local times (n,) at moments (n,), in microseconds since 1970."""
        table, among = self._among(moments, "at")
        local: npt.NDArray[np.int64] = moments + table["offset"][among]
        return local

    def _among(
        self, times: npt.NDArray[np.int64], by: str
    ) -> tuple[dict[str, npt.NDArray[np.int64]], npt.NDArray[np.intp]]:
        """The stretches as columns, and the search for times by one of the columns."""
        import numpy as np

        latest = int(times.max(initial=0)) // (365 * _DAY // TICK) + 1970
        table = self.changes(min(latest, MAXYEAR)).columns
        return table, np.maximum(np.searchsorted(table[by], times, side="right") - 1, 0)

    def _offset(self, moment: datetime) -> timedelta:
        return self.info.fromutc(moment.replace(tzinfo=self.info)).replace(tzinfo=None) - moment

    def _extended(self, until: int) -> Changes:
        stretches, offset_at = list(self._changes.stretches), self.info.utcoffset
        at, end = datetime(self._changes.until, 1, 1), datetime(until, 1, 1)  # noqa: DTZ001
        while at < end:
            last = stretches[-1]
            # Asked by local time, as if nothing had changed: ten times as fast as by the moment.
            if offset_at(at + last.offset) != last.offset:
                stretches.append(self._changed(last, max(at - _STEP - _DAY, last.at), at))
            at += _STEP
        return Changes(tuple(stretches), until)

    def _changed(self, before: Stretch, low: datetime, high: datetime) -> Stretch:
        """The stretch that begins after `low` and not after `high`, found to the second."""
        while high - low > _SECOND:
            middle = low + (high - low) // _SECOND // 2 * _SECOND
            low, high = (low, middle) if self._offset(middle) != before.offset else (middle, high)
        offset = self._offset(high)
        return Stretch(high, high + offset, offset, max(before.reached, high + before.offset))


@lru_cache(maxsize=64)
def zone_of(name: str) -> Zone:
    """The time zone of a name that `check_zone` allows."""
    return Zone(name)


UTC_ZONE = zone_of("UTC")
"""The default zone."""


def check_zone(name: str) -> str:
    """The name itself if it is an IANA name; otherwise raises `ValueError` with similar names."""
    if name == "localtime":
        raise ValueError("'localtime' differs from machine to machine: write a name like 'Europe/Berlin'")
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"no time zone '{name}'{_meant(name)}") from None
    return name


def _meant(name: str) -> str:
    known = sorted(available_timezones())
    wanted = name.strip().replace(" ", "_").lower()
    tables = {zone.lower(): zone for zone in known}, {zone.rpartition("/")[2].lower(): zone for zone in known}
    same = [table[wanted] for table in tables if wanted in table]
    near = [table[found] for table in tables for found in get_close_matches(wanted, table, 2, 0.75)]
    found = dict.fromkeys(same[:1] or near)
    return f": did you mean {' or '.join(found)}?" if found else ", write one like 'Europe/Berlin'"


def _within_years(local: npt.NDArray[np.int64], offset: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    import numpy as np

    moments = local - offset
    first, last = _since_1970(_FIRST), _since_1970(_LAST)
    named = (local >= first) & (local <= last)
    return np.where(named, np.clip(moments, first, last), moments)


def _since_1970(moment: datetime) -> int:
    return (moment - _EPOCH) // TICK
