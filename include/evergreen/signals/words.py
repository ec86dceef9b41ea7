"""Parts of the clauses of signals."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10

from evergreen.calendar import Calendar
from evergreen.signals.record import Record


def stretch(calendar: Calendar, records: Sequence[Record], newest: Record) -> str:
    """Partitions in words: `the last 5 days`, or else the first and last of them."""
    count = len(records)
    if not calendar.has_time:
        return "the snapshot"
    first, last = records[0].partition, records[-1].partition
    if last == newest.partition and calendar.distance(first, last) == count - 1:
        return calendar.last(count)
    return f"{calendar.counted(count)} from {first} to {last}" if count > 1 else first


def against(value: float, promised: float, between: str = "") -> str:
    """Two figures, with enough digits to distinguish them."""
    for digits in (3, 4, 5, 6):
        said, other = _figure(value, digits), _figure(promised, digits)
        if said != other or value == promised:
            break
    return f"{said}{between} against {other} promised"


def _figure(value: float, digits: int) -> str:
    """A number with so many significant digits, and never fewer than it has before the point."""
    if not value:
        return "0"
    places = digits - 1 - floor(log10(abs(value)))
    return f"{value:,.{max(places, 0)}f}" if places <= 9 else f"{value:.{digits}g}"
