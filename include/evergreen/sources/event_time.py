"""The column of a source's event time, as `pipeline.yaml` names it: one column, or the parts of a time."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from evergreen.description import Described, explain
from evergreen.units import COLUMN, Column, ZoneName

IN_ORDER = ("year", "month", "day", "hour", "minute", "second")
"""What the columns of a list are, in this order."""


class Parts(Described):
    """The columns whose values together say a time: a `date`, or `year`, `month` and `day`, then the hour."""

    date: Column | None = None
    """The column of the date. Example: day"""
    year: Column | None = None
    """The column of the year. Example: year"""
    month: Column | None = None
    """The column of the month. Example: month"""
    day: Column | None = None
    """The column of the day. Example: day"""
    hour: Column | None = None
    """The column of the hour. Example: hour"""
    minute: Column | None = None
    """The column of the minute. Example: minute"""
    second: Column | None = None
    """The column of the second. Example: second"""

    @model_validator(mode="after")
    def _without_gaps(self) -> Self:
        if (self.date is None) == (self.year is None):
            raise ValueError("name either a 'date' or a 'year' among the columns of the time")
        calendar = ("year", "month", "day")
        if self.date is not None and any(getattr(self, name) for name in calendar):
            raise ValueError("a 'date' has year, month and day: leave these out")
        names = IN_ORDER if self.date is None else IN_ORDER[3:]
        given = [getattr(self, name) is not None for name in names]
        if given != sorted(given, reverse=True):
            missing = names[given.index(False)]
            raise ValueError(f"name the column of the {missing} too, which what follows it is part of")
        return self

    @property
    def columns(self) -> dict[str, str]:
        """The columns by what they are, from the longest to the shortest part."""
        named = {name: getattr(self, name) for name in ("date", *IN_ORDER)}
        return {name: column for name, column in named.items() if column is not None}


class ComposedTime(str):
    """The name of a column that is made of `parts`: `time_column: {from: [year, month, day, hour]}`.

    A time is local in `zone`, or in the pipeline's zone where that is None.
    """

    parts: Parts
    zone: str | None

    @classmethod
    def of(cls, name: str, parts: Parts, zone: str | None) -> Self:
        """The column of this name."""
        made = cls(name)
        made.parts, made.zone = parts, zone
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of, (str(self), self.parts, self.zone)


def _listed(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if len(value) > len(IN_ORDER):
        raise ValueError(f"the columns are at most {', '.join(IN_ORDER)}, in this order")
    return dict(zip(IN_ORDER, value, strict=False))


_IN_ORDER = BeforeValidator(_listed, json_schema_input_type=list[Column] | Parts)


class _Written(Described):
    """An event time that several columns make up."""

    columns: Annotated[Parts, _IN_ORDER] = Field(alias="from")
    """The columns in the order year, month, day, hour, minute, second, or what each is. Example: [year,
    month, day, hour]
    """
    name: Column = "time"
    """The name of the column that they make. Example: time"""
    zone: ZoneName | None = None
    """The time zone of the time; default: the pipeline's. Example: Europe/Berlin"""


def _time_column(value: Any, as_name: ValidatorFunctionWrapHandler) -> str:
    if not isinstance(value, dict):
        return value if isinstance(value, ComposedTime) else str(as_name(value))
    try:
        written = _Written.model_validate(value)
    except ValidationError as error:
        raise ValueError(explain(_Written, error)) from None
    return ComposedTime.of(written.name, written.columns, written.zone)


def _written(value: str) -> Any:
    if not isinstance(value, ComposedTime):
        return value
    return {"from": value.parts.columns, "name": str(value), "zone": value.zone}


TimeColumn = Annotated[
    str,
    AfterValidator(COLUMN.check),
    WrapValidator(_time_column, json_schema_input_type=Column | _Written),
    PlainSerializer(_written),
]
"""A column's name, or a `ComposedTime` written as a mapping with `from`."""
