"""Lengths of event time as people write them: `5 partitions`, `10 days`, `12 months`.

How many partitions a length is depends on the calendar, and for months on the date: see `Calendar.back`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

# At most six digits: a length beyond the range of dates is a typing error.
_FORM = re.compile(r"([0-9]{1,6}) (partition|second|minute|hour|day|week|month|year)s?")
_MONTHS = {"month": 1, "year": 12}
_PARTITION = "partition"


@dataclass(frozen=True)
class Length:
    """A number of partitions, of seconds to weeks, or of months or years. It is written as it was read.

    `count` is not negative, and `unit` is a word without its plural. A length of 0 is false.
    """

    count: int
    unit: str = _PARTITION

    @classmethod
    def read(cls, text: str) -> Length:
        """The length that a text says; raises `ValueError` with what is allowed."""
        if not (match := _FORM.fullmatch(text)):
            raise ValueError("write a length like '5 partitions', '28 days' or '12 months'")
        return cls(int(match[1]), match[2])

    @property
    def in_partitions(self) -> bool:
        """Whether it counts partitions."""
        return self.unit == _PARTITION

    @property
    def months(self) -> int:
        """Its months; 0 for a length in another unit."""
        return self.count * _MONTHS.get(self.unit, 0)

    @property
    def time(self) -> timedelta:
        """Its time; 0 for a length in partitions or months."""
        if self.in_partitions or self.unit in _MONTHS:
            return timedelta()
        return timedelta(**{f"{self.unit}s": self.count})

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        return f"{self.count} {self.unit}{'' if self.count == 1 else 's'}"
