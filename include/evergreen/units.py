"""The units people write in a description: `28 days`, `5 partitions`, `5%`, `6 per 30 partitions`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, PlainSerializer

_DURATION = re.compile(r"(\d+) (hour|day|week)s?")
_PARTITIONS = re.compile(r"(\d+) partitions?")
_SHARE = re.compile(r"(\d+(?:\.\d+)?) ?%")
_BUDGET = re.compile(r"(\d+) per (\d+) partitions?")


class Budget(NamedTuple):
    """At most `times` trainings within `per` partitions."""

    times: int
    per: int


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if not (match := _DURATION.fullmatch(str(value))):
        raise ValueError("write a duration like '28 days', '6 hours' or '2 weeks'")
    return timedelta(**{match[2] + "s": int(match[1])})


def _partitions(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not (match := _PARTITIONS.fullmatch(str(value))):
        raise ValueError("write a number of partitions like '5 partitions'")
    return int(match[1])


def _share(value: Any) -> Any:
    if match := _SHARE.fullmatch(str(value)):
        value = float(match[1]) / 100
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("write a share like '5%' or 0.05, from 0 to 1")
    return float(value)


def _tolerance(value: Any) -> Any:
    if match := _SHARE.fullmatch(str(value)):
        value = float(match[1]) / 100
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError("write a relative tolerance like '25%' or 0.25, not negative")
    return float(value)


def _budget(value: Any) -> Any:
    if isinstance(value, Budget):
        return value
    if not (match := _BUDGET.fullmatch(str(value))):
        raise ValueError("write a budget like '6 per 30 partitions'")
    return Budget(int(match[1]), int(match[2]))


def _seconds(value: timedelta) -> str:
    days, rest = divmod(value, timedelta(days=1))
    return f"{days} days" if not rest else f"{int(value.total_seconds() // 3600)} hours"


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(_seconds)]
"""A length of event time, written like `28 days`."""

Partitions = Annotated[int, BeforeValidator(_partitions)]
"""A number of partitions, written like `5 partitions`."""

Share = Annotated[float, BeforeValidator(_share)]
"""A share from 0 to 1, written like `5%`."""

Tolerance = Annotated[float, BeforeValidator(_tolerance)]
"""A relative tolerance, not negative, written like `25%`; more than 100 % is allowed."""

RetrainBudget = Annotated[Budget, BeforeValidator(_budget)]
"""So many retrainings within so many partitions, written like `6 per 30 partitions`."""
