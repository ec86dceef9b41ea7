"""Weekday and time of the year of days as numbers, for single numbers and arrays.

Day 1 is 0001-01-01, a Monday, as in `datetime.date.toordinal`; half a day later is 1.5.
"""

from __future__ import annotations

from typing import TypeVar

Number = TypeVar("Number")

WEEK = 7
"""Days in a week."""

YEAR = 365.2425
"""Days in a year, on average."""


def weekday(day: Number) -> Number:
    """The weekday of a day, or of each in an array: Monday is 1, Sunday 0."""
    return day // 1 % WEEK  # type: ignore[operator, return-value, no-any-return]


def days_of_year_apart(one: Number, other: Number | float) -> Number:
    """Days from `other` to `one` within the year, ignoring the years; from -182.6 to 182.6."""
    return (one - other + YEAR / 2) % YEAR - YEAR / 2  # type: ignore[operator, return-value, no-any-return]
