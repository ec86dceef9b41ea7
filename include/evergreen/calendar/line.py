"""Partitions as numbers, one after another in time: arithmetic on keys is arithmetic on whole numbers.

Where clocks are put back, the keys do not go back with them, so they are unique and sort as text as time
does: `dates` and `hours` say how. What the clocks skip is no partition: no hour 02 in spring, and no
2011-12-30 in Samoa.

Moments are UTC without `tzinfo` here, and local times have none either.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from functools import lru_cache

from evergreen.calendar.zone import Zone

_CACHED = 1 << 16  # keys: seven years of hours


class Line(ABC):
    """The partitions of one grain in one zone, numbered in the order of time.

    Keys that are none raise `ValueError`, numbers and moments beyond the years 1 to 9999 `OverflowError` or
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
        """Where in local days the partition of a key begins, as in `season`."""

    @abstractmethod
    def holding(self, moment: datetime) -> int:
        """The number of the partition that holds a moment."""

    @abstractmethod
    def local(self, number: int) -> datetime:
        """The local time at which a partition is said to begin, whether the clocks show it or not."""

    @abstractmethod
    def at(self, local: datetime) -> str | None:
        """The key of the partition that a local time is in by name; None if there is none."""

    @abstractmethod
    def _number(self, key: str) -> int: ...

    @abstractmethod
    def _key(self, number: int) -> str: ...

    @abstractmethod
    def _start(self, number: int) -> datetime: ...

    def _day(self, key: str) -> float:
        local = self.local(self.number(key))
        return local.toordinal() + local.hour / 24
