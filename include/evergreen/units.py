"""The units people write in a description: `5 partitions`, `28 days`, `12 months`, `5%`, `6 per 30 days`.

A *length* is of event time, in partitions, days or the like, or months (`evergreen.calendar.Length`). A
*duration* is of the wall clock: a timeout, a deadline, the time that a person has to answer.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from evergreen.calendar import Length, check_cron
from evergreen.time_form import time_form

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
_SINCE_CHANGE = re.compile(r"since change(?:, at most (.*))?")
_TYPE = re.compile(r"text|float|int|boolean|date|time|decimal\([1-9][0-9]?, ?[0-9]{1,2}\)")
_CRON = re.compile(r"@(hourly|daily|weekly|monthly|yearly)|[0-9A-Za-z*/,#?-]+( [0-9A-Za-z*/,#?-]+){4}")


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


def _window(value: Any) -> Any:
    match = _SINCE_CHANGE.fullmatch(str(value))
    if match is None or isinstance(value, Length):
        return _length(value)
    longest = Length.read(match[1]) if match[1] else LONGEST_WINDOW
    return SinceChange(longest.count, longest.unit)


def _some_length(value: Any) -> Length:
    return value if isinstance(value, Length) else _some(Length.read(str(value)))


def _type_name(value: str) -> str:
    if not _TYPE.fullmatch(value) and time_form(value) is None:
        raise ValueError(
            "write one of text, float, int, boolean, date, time, or 'decimal(12, 2)', or a form like "
            "'date %d.%m.%Y', 'time %d.%m.%Y %H:%M' or 'time in Europe/Berlin'"
        )
    return value


def _text(pattern: str, words: str) -> Any:
    """A text of a form: pydantic would show the pattern, a person is helped by the words."""
    form = re.compile(pattern)

    def check(value: str) -> str:
        if not form.fullmatch(value):
            raise ValueError(words)
        return value

    return AfterValidator(check)


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


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(written_duration)]
"""A time of the wall clock, written like `28 days`."""

Age = Annotated[timedelta, BeforeValidator(_age), PlainSerializer(written_duration)]
"""A duration that may also be written in months or years; a month counts as 31 days."""

Size = Annotated[int, BeforeValidator(_size)]
"""A number of bytes, written like `500 MB`."""

AnyLength = Annotated[Length, BeforeValidator(_length), PlainSerializer(str)]
"""A length of event time, like `5 partitions`, `28 days` or `12 months`; a bare number counts partitions."""

SomeLength = Annotated[Length, BeforeValidator(_length), AfterValidator(_some), PlainSerializer(str)]
"""A length of event time of more than 0."""

Window = Annotated[Length, BeforeValidator(_window), AfterValidator(_some), PlainSerializer(str)]
"""The training window: a length, or `since change` or `since change, at most 24 months`."""

Partitions = Annotated[int, BeforeValidator(_partitions)]
"""How many published partitions a limit by history is computed from, written like `5 partitions`."""

RowCount = Annotated[int, BeforeValidator(_rows)]
"""A number of rows of more than 0, written like `1000 rows`."""

Share = Annotated[float, BeforeValidator(_share)]
"""A share from 0 to 1, written like `5%`."""

Levels = Annotated[tuple[float, ...], BeforeValidator(_levels)]
"""How often intervals or sets hold the truth, like `90%` or `[90%, 99%]`; the first is the main one."""

Tolerance = Annotated[float, BeforeValidator(_tolerance)]
"""A share that something may be off, not negative, written like `25%`; more than 100 % is allowed."""

RetrainBudget = Annotated[Budget, BeforeValidator(_budget), PlainSerializer(str)]
"""A number of retrainings within a length of time, written like `6 per 30 partitions` or `1 per 3 months`."""

Frequency = Annotated[Times, BeforeValidator(_times)]
"""A number out of the last partitions, written like `2 of 3 partitions`."""

Recency = Annotated[HalfLife | Literal["none"], BeforeValidator(_recency), PlainSerializer(str)]
"""How fast rows count less as they grow older, written like `half-life 60 days`, or `none`."""

HoldOut = Annotated[Length | float, BeforeValidator(_holdout), PlainSerializer(_held_out)]
"""The hold-out: a length at the end of the window, or a share."""

Identifier = Annotated[
    str, _text(r"[a-z][a-z0-9_]{0,62}", "write a name of a-z, 0-9 and '_' that starts with a letter")
]
"""A name that can be part of a DAG id, a folder and an object's key."""

Column = Annotated[str, _text(r".{1,63}", "write a column's name of 1 to 63 characters")]
"""The name of a column."""


class ConnectionName(str):
    """A connection's id as a type of its own, so that it can be found wherever a description holds one."""

    __slots__ = ()


ConnectionId = Annotated[
    str,
    _text(r"[A-Za-z][A-Za-z0-9_]*", "write a connection's id of letters, digits and '_'"),
    AfterValidator(ConnectionName),
]
"""The id of a connection, which is part of a variable's name too: `AIRFLOW_CONN_<ID>`."""

FunctionName = Annotated[
    str, _text(r"[\w/]+\.py:[A-Za-z_]\w*", "write a file and a function in it like 'features.py:build'")
]
"""A function of the pipeline's folder."""

TypeName = Annotated[str, AfterValidator(_type_name)]
"""The type of a column in the lake; a date or time may have a form: see `evergreen.time_form`."""

ImportPath = Annotated[
    str, _text(r"[A-Za-z_]\w*(\.\w+)+", "write the full path like 'sklearn.linear_model.Ridge'")
]
"""The import path of an estimator."""

Cron = Annotated[
    str,
    _text(_CRON.pattern, "write five fields like '0 2 * * *' (minute, hour, day, month, weekday)"),
    AfterValidator(check_cron),
]
"""When a DAG runs, in the pipeline's time zone."""
