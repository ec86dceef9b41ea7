"""Limits that follow the data: a number computed from the partitions published before this one.

In place of a number an expectation may say `{last: 28 partitions, of: row_count, times: 0.5}`: half the
median row count of the last 28 partitions, in event time, before the one that is validated.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from evergreen.description import Described, explain
from evergreen.units import Column, Partitions
from evergreen.validation.profile import QUANTILES, Profile

AT_LEAST = 7
"""So many partitions make a history, unless a limit says otherwise."""

FIGURES = ("row_count", "mean", "std", "min", "max", "null_share")
_QUANTILE = re.compile(r"quantile (0\.[0-9]+)")
_KNOWN = f"{', '.join(FIGURES)}, or 'quantile q' with q of {', '.join(map(str, QUANTILES))}"


@dataclass(frozen=True)
class NotEnough:
    """There are fewer earlier partitions with the figure than a limit needs."""

    found: int
    needed: int

    def __str__(self) -> str:
        return f"not enough history: {self.found} of {self.needed}"


class Limit(Described):
    """The median of a figure over the `last` partitions, times `times`, plus `plus`.

    `of` is one of `FIGURES` or `quantile 0.5`; `column` defaults to the expectation's own. A partition
    without the figure (no such column, or no value in it) is skipped. At least `at_least` others are needed
    (default 7, or `last` if that is less).
    """

    last: Partitions
    """Of how many partitions before this one. Example: 28 partitions"""
    of: str = Field(json_schema_extra={"pattern": f"^({'|'.join(FIGURES)}|{_QUANTILE.pattern})$"})
    """Which figure: `row_count`, `mean`, `std`, `min`, `max`, `null_share` or `quantile q`. Example: mean"""
    column: Column | None = None
    """The column of the figure; default: that of the expectation."""
    times: float = 1.0
    """What the median is multiplied by. Example: 0.5"""
    plus: float = 0.0
    """What is added then."""
    at_least: Partitions | None = None
    """How many of these partitions must have the figure; default: 7, or `last` if that is less."""

    @field_validator("last", "at_least")
    @classmethod
    def _some(cls, value: int | None) -> int | None:
        if value == 0:
            raise ValueError("must be 1 partition or more")
        return value

    @field_validator("of")
    @classmethod
    def _figure(cls, value: str) -> str:
        match = _QUANTILE.fullmatch(value)
        if value not in FIGURES and not (match and float(match[1]) in QUANTILES):
            raise ValueError(f"write one of {_KNOWN}")
        return value

    @model_validator(mode="after")
    def _complete(self, info: ValidationInfo) -> Limit:
        if self.at_least is not None and self.at_least > self.last:
            raise ValueError("'at_least' must not be above 'last'")
        if self.of != "row_count" and self.column is None and not (info.context or {}).get("column"):
            raise ValueError(f"'of: {self.of}' needs a 'column' here")
        return self

    @classmethod
    def read(cls, content: Mapping[Any, Any], column: Any) -> Limit:
        """The limit written in a description; `column` is the expectation's own, or None.

        Raises `ValueError` with one line that says what is wrong and what is allowed.
        """
        own = {"column": column} if isinstance(column, str) else {}
        try:
            return cls.model_validate({**own, **content}, context=own)
        except ValidationError as error:
            raise ValueError(
                f"{explain(cls, error)}: write a number, or a limit by history like "
                "{last: 28 partitions, of: mean, times: 0.5}"
            ) from None

    @property
    def needed(self) -> int:
        """How many partitions with the figure are enough."""
        return min(AT_LEAST, self.last) if self.at_least is None else self.at_least

    def value(self, history: Sequence[Profile]) -> float | datetime | NotEnough:
        """The limit's number or time; `history` holds the partitions before this one, oldest first.

        Of an even number of times the median is the earlier of the two in the middle.
        """
        figures = [figure for profile in history[-self.last :] if (figure := self._of(profile)) is not None]
        if len(figures) < self.needed:
            return NotEnough(len(figures), self.needed)
        times = [figure for figure in figures if isinstance(figure, datetime)]
        if times:
            return statistics.median_low(times)
        numbers = [figure for figure in figures if isinstance(figure, float)]
        return statistics.median(numbers) * self.times + self.plus

    def _of(self, profile: Profile) -> float | datetime | None:
        """The figure of one partition, that of a day as its midnight in UTC; None if it has none."""
        if self.of == "row_count":
            return float(profile.rows)
        column = profile.columns.get(self.column or "")
        if column is None:
            return None
        if self.of == "null_share":
            return column.nulls / profile.rows if profile.rows else None
        if match := _QUANTILE.fullmatch(self.of):
            return column.quantiles.get(str(float(match[1])))
        figure = getattr(column, self.of)
        if isinstance(figure, str):
            time = datetime.fromisoformat(figure)
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        return None if figure is None else float(figure)


# Mappings that are arguments of Great Expectations; any other mapping is a limit that replaces a number.
OPAQUE = frozenset({"json_schema", "library_metadata", "meta", "partition_object", "row_condition"})
_OF_LISTS = "quantile_ranges"


def with_limits(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """An expectation's arguments with a `Limit` in place of each mapping that describes one.

    Raises `ValueError` with one line that names the argument.
    """
    column = arguments.get("column")
    return {name: _with_limits(name, value, column) for name, value in arguments.items()}


def limits(value: Any) -> list[Limit]:
    """All limits within arguments that `with_limits` made."""
    if isinstance(value, Limit):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [limit for item in inner for limit in limits(item)]


def replaced(value: Any, number: Callable[[Limit], Any]) -> Any:
    """The same arguments with `number(limit)` in the place of each limit."""
    if isinstance(value, Limit):
        return number(value)
    if isinstance(value, dict):
        return {name: replaced(item, number) for name, item in value.items()}
    return [replaced(item, number) for item in value] if isinstance(value, list) else value


def whole(arguments: Mapping[str, Any], name: str, value: float) -> int:
    """The whole number that bounds a count as `value` does; Great Expectations would truncate it."""
    if name == "min_value":
        return math.floor(value) if arguments.get("strict_min") else math.ceil(value)
    if name == "max_value":
        return math.ceil(value) if arguments.get("strict_max") else math.floor(value)
    return round(value)


def _with_limits(name: str, value: Any, column: Any) -> Any:
    if name in OPAQUE:
        return value
    if name == _OF_LISTS and isinstance(value, dict):
        return {key: _with_limits(f"{name}.{key}", item, column) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_limits(name, item, column) for item in value]
    if isinstance(value, dict):
        try:
            return Limit.read(value, column)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return value
