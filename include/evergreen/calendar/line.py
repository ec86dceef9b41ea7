"""Partitions as consecutive numbers: arithmetic on keys is arithmetic on whole numbers.

Where clocks are put back, the keys do not go back with them, so keys are unique and sort as text in the order
of time (see `dates` and `hours`). Hours and days that the clocks skip are no partitions: no hour 02 in
spring, no 2011-12-30 in Samoa.

Moments here are UTC without `tzinfo`; local times have no `tzinfo` either.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from functools import lru_cache

from evergreen.calendar.zone import Zone

_CACHED = 1 << 16  # keys: seven years of hours


class Line(ABC):
    """The partitions of one grain in one zone, numbered in the order of time.

    Invalid keys raise `ValueError`; numbers and moments outside the years 1 to 9999 raise `OverflowError` or
    `ValueError`.
    """

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.number = lru_cache(_CACHED)(self._number)
        """The number of a key."""
        self.key = lru_cache(_CACHED)(self._key)
        """The key of a number."""
        self.start = lru_cache(_CACHED)(self._start)
        """The first moment of a number."""
        self.day = lru_cache(_CACHED)(self._day)
        """The start of a key's partition in local days, as in `season`."""

    @abstractmethod
    def holding(self, moment: datetime) -> int:
        """The number of the partition that contains a moment."""

    @abstractmethod
    def local(self, number: int) -> datetime:
        """The nominal local start of a partition, which the clocks may skip."""

    @abstractmethod
    def at(self, local: datetime) -> str | None:
        """The key of the partition that contains a local time; None if there is none."""

    @abstractmethod
    def _number(self, key: str) -> int: ...

    @abstractmethod
    def _key(self, number: int) -> str: ...

    @abstractmethod
    def _start(self, number: int) -> datetime: ...

    def _day(self, key: str) -> float:
        local = self.local(self.number(key))
        return local.toordinal() + local.hour / 24
