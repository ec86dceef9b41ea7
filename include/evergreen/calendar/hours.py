"""Partitions of local hours.

An hour ends where the clocks are put back. The following hours, until the clocks pass the hour that they had
reached, have the key of that hour with a letter: `2024-10-27T02`, `2024-10-27T02b`, `2024-10-27T03`.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime, time

from evergreen.calendar.line import Line
from evergreen.calendar.zone import TICK, Changes, Stretch, Zone

_LETTERS = frozenset(["", *"bcdefghijklmnopqrstuvwxyz"])


@dataclass(frozen=True)
class _Run:
    """The hours of one stretch of time.

    `plus` is added to an hour to get its number; `first` is the number of the first partition that begins in
    the stretch. `reached` is the hour that the clocks had reached before it, and `reached_number` its number.
    """

    plus: int
    first: int
    reached: int
    reached_number: int


class HourLine(Line):
    """Hourly partitions, of 60 minutes except where clocks change; hours are counted from day 0."""

    def __init__(self, zone: Zone) -> None:
        super().__init__(zone)
        self._known: tuple[Changes, list[_Run], list[int]] | None = None

    def holding(self, moment: datetime) -> int:
        """The number of the partition that contains a moment."""
        changes, runs, _ = self._runs(moment.year)
        place = changes.index(moment)
        return _hour(moment + changes.stretches[place].offset) + runs[place].plus

    def local(self, number: int) -> datetime:
        """The full hour of a partition."""
        run, _ = self._run(number)
        return _time(number - run.plus)

    def at(self, local: datetime) -> str | None:
        """The key of the first hour that contains a local time; None if the clocks skip it."""
        hour = _hour(local)
        number = self._plain(hour)
        return None if number is None else _written(hour)

    def _number(self, key: str) -> int:
        hour, letter = _time_of(key), key[13:]
        plain = self._plain(hour)
        if plain is None:
            raise ValueError(f"the clocks in {self.zone.name} skip this hour")
        number = plain + (ord(letter) - ord("a") if letter else 0)
        if self._key(number) != key:
            why = f"the clocks in {self.zone.name} do not repeat this hour so often"
            raise ValueError(why if letter else key)
        return number

    def _plain(self, hour: int) -> int | None:
        """The number of the first occurrence of an hour; None if the clocks skip it."""
        local = _time(hour)
        changes, runs, _ = self._runs(local.year)
        place = changes.index_of_local(local)
        number = hour + runs[place].plus
        return number if number >= runs[place].first else None

    def _key(self, number: int) -> str:
        run, _ = self._run(number)
        hour = number - run.plus
        if hour > run.reached:
            return _written(hour)
        return _written(run.reached) + chr(ord("a") + number - run.reached_number)

    def _start(self, number: int) -> datetime:
        run, stretch = self._run(number)
        local = _time(number - run.plus)
        return stretch.at if stretch.first > local else local - stretch.offset

    def _run(self, number: int) -> tuple[_Run, Stretch]:
        # An hour and its number differ by less than the hours of a year.
        changes, runs, firsts = self._runs(min(number // (24 * 365) + 1, MAXYEAR))
        place = bisect_right(firsts, number) - 1
        return runs[place], changes.stretches[place]

    def _runs(self, year: int) -> tuple[Changes, list[_Run], list[int]]:
        changes = self.zone.changes(year)
        if self._known is None or self._known[0] is not changes:
            runs = [_Run(plus=0, first=0, reached=-1, reached_number=-1)]
            for before, stretch in zip(changes.stretches, changes.stretches[1:], strict=False):
                runs.append(_following(runs[-1], before, stretch))
            self._known = changes, runs, [run.first for run in runs]
        return self._known


def _following(run: _Run, before: Stretch, stretch: Stretch) -> _Run:
    """The hours of a stretch, computed from those of the previous stretch."""
    last, first = _hour(stretch.at - TICK + before.offset), _hour(stretch.first)
    number = last + run.plus
    begins = 1 if first != last or stretch.offset < before.offset else 0
    reached = _hour(stretch.reached - TICK)
    return _Run(
        plus=number + begins - first,
        first=number + 1,
        reached=reached,
        reached_number=run.reached_number if reached == run.reached else number,
    )


def _hour(local: datetime) -> int:
    return local.toordinal() * 24 + local.hour


def _time(hour: int) -> datetime:
    return datetime.combine(date.fromordinal(hour // 24), time(hour % 24))


def _written(hour: int) -> str:
    return f"{date.fromordinal(hour // 24).isoformat()}T{hour % 24:02d}"


def _time_of(key: str) -> int:
    hour = date.fromisoformat(key[:10]).toordinal() * 24 + int(key[11:13])
    if _written(hour) != key[:13] or key[13:] not in _LETTERS:
        raise ValueError(key)
    return hour
