"""The amounts people write in a description: `5 partitions`, `28 days`, `12 months`, `5%`, `6 per 30 days`.

A *length* is of event time, in partitions, days or the like, or months (`evergreen.calendar.Length`). A
*duration* is of the wall clock: a timeout, a deadline, the time that a person has to answer.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from evergreen.calendar import Length
from evergreen.units.form import form, matching, of_any, whole_number

# At most six digits: a duration beyond the range of dates is a typing error.
_DURATION = re.compile(r"([0-9]{1,6}) (second|minute|hour|day|week)s?")
_SIZE = re.compile(r"([0-9]{1,6}) (kB|MB|GB)")
_BYTES = {"kB": 2**10, "MB": 2**20, "GB": 2**30}
_ROWS = re.compile(r"([0-9]{1,9}) rows?")
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?%")
_PARTITIONS = re.compile(r"([0-9]{1,6}) partitions?")
_BUDGET = re.compile(r"([0-9]{1,6}) per (.*)")
_TIMES = re.compile(r"([0-9]{1,6}) of ([0-9]{1,6}) partitions?")
_HALF_LIFE = re.compile(r"half-life (.*)")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?")
_SINCE_CHANGE = re.compile(r"since change(?:, at most (.*))?")


_LONGEST_MONTH = 31  # days: what is kept for months is never removed too early
_MOST_MONTHS = 12 * 1000

LONGEST_WINDOW = Length(365, "day")
"""How far back training reads where a description does not say."""


class Budget(NamedTuple):
    """At most `times` trainings within any stretch of the length `per`."""

    times: int
    per: Length

    def __str__(self) -> str:
        return f"{self.times} per {self.per}"


class Times(NamedTuple):
    """`times` of the last `of` partitions."""

    times: int
    of: int


@dataclass(frozen=True)
class HalfLife:
    """Every `length` of event time halves what a row counts."""

    length: Length

    def __str__(self) -> str:
        return f"half-life {self.length}"


class SinceChange(Length):
    """A window that begins at a break that was found, and is at most this long."""

    def __str__(self) -> str:
        return f"since change, at most {super().__str__()}"


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if not (match := _DURATION.fullmatch(str(value))):
        raise ValueError("write a duration like '28 days', '6 hours' or '2 weeks'")
    return timedelta(**{match[2] + "s": int(match[1])})


def _age(value: Any) -> Any:
    if isinstance(value, str):
        with suppress(ValueError):
            length = Length.read(value)
            if 0 < length.months <= _MOST_MONTHS:
                return timedelta(days=_LONGEST_MONTH * length.months)
    return _duration(value)


def _length(value: Any) -> Any:
    if isinstance(value, Length):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**6:
        return Length(value)
    return Length.read(str(value))


def _partitions(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if not (match := _PARTITIONS.fullmatch(str(value))):
        raise ValueError("write a number of partitions like '5 partitions'")
    return int(match[1])


def _rows(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if not (match := _ROWS.fullmatch(str(value))) or not int(match[1]):
        raise ValueError("write a number of rows like '1000 rows', more than 0")
    return int(match[1])


def _some(value: Length) -> Length:
    if not value:
        raise ValueError("must be more than 0")
    return value


def _share(value: Any) -> Any:
    if match := _SHARE.fullmatch(str(value)):
        value = float(match[1]) / 100
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("write a share like '5%' or 0.05, from 0 to 1")
    return float(value)


def _levels(value: Any) -> Any:
    found = [_share(one) for one in (value if isinstance(value, list | tuple) else [value])]
    if any(not 0.5 <= one < 1 for one in found) or len(set(found)) < len(found):
        raise ValueError("write a level like '90%', or several like [90%, 99%], from 50% to below 100%")
    return tuple(found)


def _tolerance(value: Any) -> Any:
    if match := _SHARE.fullmatch(str(value)):
        value = float(match[1]) / 100
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError("write a relative tolerance like '25%' or 0.25, not negative")
    return float(value)


def _size(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if not (match := _SIZE.fullmatch(str(value))) or not int(match[1]):
        raise ValueError("write a size like '500 MB' or '10 GB'")
    return int(match[1]) * _BYTES[match[2]]


def _budget(value: Any) -> Any:
    if isinstance(value, Budget):
        return value
    if match := _BUDGET.fullmatch(str(value)):
        with suppress(ValueError):
            return Budget(int(match[1]), _some(Length.read(match[2])))
    raise ValueError("write a budget like '6 per 30 partitions', '2 per 90 days' or '1 per 3 months'")


def _times(value: Any) -> Any:
    if isinstance(value, Times):
        return value
    match = _TIMES.fullmatch(str(value))
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError("write a frequency like '2 of 3 partitions'")
    return Times(int(match[1]), int(match[2]))


def _time_of_day(value: Any) -> Any:
    # YAML reads 10:30 without quotes as a number of minutes.
    if isinstance(value, time) or (isinstance(value, str) and _TIME.fullmatch(value)):
        return value
    raise ValueError("write a time of day in quotes, like '06:00'")


def _recency(value: Any) -> Any:
    if isinstance(value, HalfLife) or value == "none":
        return value
    if match := _HALF_LIFE.fullmatch(str(value)):
        with suppress(ValueError):
            return HalfLife(_some(Length.read(match[1])))
    raise ValueError("write a half-life like 'half-life 60 days' or 'half-life 12 months', or 'none'")


def _holdout(value: Any) -> Any:
    for read in (_some_length, _share):
        try:
            found = read(value)
        except ValueError:
            continue
        if isinstance(found, Length) or 0 < found < 1:
            return found
    raise ValueError("write a length like '7 days' or a share like '20%', more than 0 and less than all")


def _sample(value: Any) -> Any:
    for read in (_rows, _share):
        with suppress(ValueError):
            found = read(value)
            if isinstance(found, int) or 0 < found < 1:
                return found
    raise ValueError("write a number of rows like '1000000 rows' or a share like '10%', less than all")


def _window(value: Any) -> Any:
    match = _SINCE_CHANGE.fullmatch(str(value))
    if match is None or isinstance(value, Length):
        return _length(value)
    longest = Length.read(match[1]) if match[1] else LONGEST_WINDOW
    return SinceChange(longest.count, longest.unit)


def _some_length(value: Any) -> Length:
    return value if isinstance(value, Length) else _some(Length.read(str(value)))


def written_duration(value: timedelta) -> str:
    """A duration as it is written in a description, such as `2 days` or `6 hours`."""
    days, rest = divmod(value, timedelta(days=1))
    if not rest:
        return f"{days} days"
    seconds = int(value.total_seconds())
    for length, word in ((3600, "hours"), (60, "minutes")):
        if not seconds % length:
            return f"{seconds // length} {word}"
    return f"{seconds} seconds"


def _held_out(value: Length | float) -> str:
    return str(value) if isinstance(value, Length) else f"{value * 100:g}%"


def _written_sample(value: int | float) -> str:
    return f"{value} rows" if isinstance(value, int) else _held_out(value)


_LENGTH_FORM = r"(?:[0-9]{1,6}) (?:partition|second|minute|hour|day|week|month|year)s?"
_SOME = r"(?!0+ )"
_SHARE_FORM = matching(r"0*(?:100(?:\.0+)?|[0-9]{1,2}(?:\.[0-9]+)?) ?%")
_OPEN_SHARE_FORM = matching(r"(?!0*(?:\.0*)? ?%|0*100)[0-9]+(?:\.[0-9]+)? ?%")
_OF_A_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_LEVEL = of_any({"type": "number", "minimum": 0.5, "exclusiveMaximum": 1}, _SHARE_FORM)

Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(written_duration),
    form("a duration", matching(_DURATION), "10 minutes"),
]
"""A time of the wall clock, written like `28 days`."""

Age = Annotated[
    timedelta,
    BeforeValidator(_age),
    PlainSerializer(written_duration),
    form("an age", matching(r"[0-9]{1,6} (?:second|minute|hour|day|week|month|year)s?"), "12 months"),
]
"""A duration that may also be written in months or years; a month counts as 31 days."""

Size = Annotated[
    int, BeforeValidator(_size), form("a size", of_any(whole_number(1), matching(_SIZE, _SOME)), "500 MB")
]
"""A number of bytes, written like `500 MB`."""

AnyLength = Annotated[
    Length,
    BeforeValidator(_length),
    PlainSerializer(str),
    form("a length", of_any(whole_number(0, 10**6 - 1), matching(_LENGTH_FORM)), "28 days"),
]
"""A length of event time, like `5 partitions`, `28 days` or `12 months`; a bare number counts partitions."""

SomeLength = Annotated[
    Length,
    BeforeValidator(_length),
    AfterValidator(_some),
    PlainSerializer(str),
    form("a length above 0", of_any(whole_number(1, 10**6 - 1), matching(_LENGTH_FORM, _SOME)), "28 days"),
]
"""A length of event time of more than 0."""

Window = Annotated[
    Length,
    BeforeValidator(_window),
    AfterValidator(_some),
    PlainSerializer(str),
    form(
        "a window",
        of_any(
            whole_number(1, 10**6 - 1),
            matching(_LENGTH_FORM, _SOME),
            matching(rf"since change(?:, at most {_SOME}{_LENGTH_FORM})?"),
        ),
        "since change, at most 24 months",
    ),
]
"""The training window: a length, or `since change` or `since change, at most 24 months`."""

Partitions = Annotated[
    int,
    BeforeValidator(_partitions),
    form("a number of partitions", of_any(whole_number(0), matching(_PARTITIONS)), "5 partitions"),
]
"""How many published partitions a limit by history is computed from, written like `5 partitions`."""

RowCount = Annotated[
    int,
    BeforeValidator(_rows),
    form("a number of rows", of_any(whole_number(1), matching(_ROWS, _SOME)), "1000 rows"),
]
"""A number of rows of more than 0, written like `1000 rows`."""

Share = Annotated[float, BeforeValidator(_share), form("a share", of_any(_OF_A_SHARE, _SHARE_FORM), "5%")]
"""A share from 0 to 1, written like `5%`."""

Levels = Annotated[
    tuple[float, ...],
    BeforeValidator(_levels),
    form("levels", of_any(_LEVEL, {"type": "array", "items": _LEVEL}), ["90%", "99%"]),
]
"""How often intervals or sets hold the truth, like `90%` or `[90%, 99%]`; the first is the main one."""

Tolerance = Annotated[
    float,
    BeforeValidator(_tolerance),
    form("a tolerance", of_any({"type": "number", "minimum": 0}, matching(_SHARE)), "25%"),
]
"""A share that something may be off, not negative, written like `25%`; more than 100 % is allowed."""

RetrainBudget = Annotated[
    Budget,
    BeforeValidator(_budget),
    PlainSerializer(str),
    form("a budget", matching(rf"[0-9]{{1,6}} per {_SOME}{_LENGTH_FORM}"), "6 per 30 partitions"),
]
"""A number of retrainings within a length of time, written like `6 per 30 partitions` or `1 per 3 months`."""

Frequency = Annotated[
    Times, BeforeValidator(_times), form("a frequency", matching(_TIMES, _SOME), "2 of 3 partitions")
]
"""A number out of the last partitions, written like `2 of 3 partitions`."""

Recency = Annotated[
    HalfLife | Literal["none"],
    BeforeValidator(_recency),
    PlainSerializer(str),
    form(
        "a half-life",
        of_any({"const": "none"}, matching(rf"half-life {_SOME}{_LENGTH_FORM}")),
        "half-life 60 days",
    ),
]
"""How fast rows count less as they grow older, written like `half-life 60 days`, or `none`."""

HoldOut = Annotated[
    Length | float,
    BeforeValidator(_holdout),
    PlainSerializer(_held_out),
    form(
        "a length or a share",
        of_any(
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            matching(_LENGTH_FORM, _SOME),
            _OPEN_SHARE_FORM,
        ),
        "7 days",
    ),
]
"""The hold-out: a length at the end of the window, or a share."""

SampleSize = Annotated[
    int | float,
    BeforeValidator(_sample),
    PlainSerializer(_written_sample),
    form(
        "a number of rows or a share",
        of_any(
            whole_number(1),
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            matching(_ROWS, _SOME),
            _OPEN_SHARE_FORM,
        ),
        "1000000 rows",
    ),
]
"""How many rows are drawn, written like `1000000 rows`, or which share of all of them, like `10%`."""

TimeOfDay = Annotated[time, BeforeValidator(_time_of_day), form("a time of day", matching(_TIME), "06:00")]
"""A time of day without its zone."""
