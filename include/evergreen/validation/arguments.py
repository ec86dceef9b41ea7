"""Arguments of expectations that are held against a column's values, converted to the column's type.

YAML has its own types, and people quote a value or do not: `2024-01-01` is a date there, `"2024-01-01"` a
text, and a column of times is equal to neither. So each such argument has an entry in `HELD`, and is
converted in one place, when the column's type is known. What cannot be converted is refused: no row could
hold it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import SpecError
from evergreen.rows.columns import NUMBER, declared
from evergreen.shown import shown
from evergreen.sources.text.declared import time_of
from evergreen.spec import Spec
from evergreen.validation.history import Limit, limits
from evergreen.validation.profile import figures_of
from evergreen.validation.quarantine import fitted
from evergreen.validation.suite import Entry, Suite

Convert = Callable[[pa.Field, Any, Zone], Any]
_EXACT = 2**53  # Great Expectations compares bounds as floats


def member(column: pa.Field, value: Any, zone: Zone) -> Any:
    """A value of a set, as a value of the column; raises `ValueError` for one that no row can have."""
    kind = column.type
    if value is None:
        return None
    if pa.types.is_list(kind):
        if not isinstance(value, list):
            raise ValueError("the column holds lists")
        return tuple(member(pa.field(column.name, kind.value_type), item, zone) for item in value)
    if _is_time(kind):
        return _time(column, value, zone)
    if pa.types.is_boolean(kind):
        return _truth(value)
    return _member_number(column, value, zone) if _is_number(kind) else _text(value)


def numpy_member(column: pa.Field, value: Any, zone: Zone) -> Any:
    """The same, with times as those of NumPy."""
    found = member(column, value, zone)
    return found.to_datetime64() if isinstance(found, pd.Timestamp) else found


def bound(column: pa.Field, value: Any, zone: Zone) -> Any:
    """A bound of the column's values, which need not be one of them: 0.5 bounds whole numbers."""
    if value is None:
        return None
    if _is_time(column.type):
        return _time(column, value, zone)
    return number(column, value, zone)


def number(column: pa.Field, value: Any, zone: Zone) -> Any:
    """A number that is held against a figure of the column's numbers, such as their sum."""
    if value is None:
        return None
    if not (_is_number(column.type) or pa.types.is_boolean(column.type)):
        raise ValueError("a column of this type has no numbers to compare")
    found = _number(value)
    exact = found if isinstance(found, int) else float(found)
    if isinstance(exact, int) and abs(exact) > _EXACT and int(float(exact)) != exact:
        raise ValueError(f"beyond 2**53 not every whole number can be compared: write {float(exact):.0f}")
    return exact


class _Each:
    """A list of values, each converted by `convert`."""

    def __init__(self, convert: Convert) -> None:
        self.convert = convert

    def __call__(self, column: pa.Field, value: Any, zone: Zone) -> Any:
        if value is None:
            return None
        if not isinstance(value, list):
            raise ValueError("write a list")
        return [_told(self.convert, column, item, zone) for item in value]


SET = _Each(member)
_BOUNDS: Mapping[str, Convert] = {"min_value": bound, "max_value": bound}
_NUMBERS: Mapping[str, Convert] = {"min_value": number, "max_value": number}

HELD: Mapping[str, Mapping[str, Convert]] = {
    "expect_column_distinct_values_to_be_in_set": {"value_set": SET},
    "expect_column_distinct_values_to_contain_set": {"value_set": SET},
    "expect_column_distinct_values_to_equal_set": {"value_set": SET},
    "expect_column_most_common_value_to_be_in_set": {"value_set": _Each(numpy_member)},
    "expect_column_values_to_be_in_set": {"value_set": SET},
    "expect_column_values_to_not_be_in_set": {"value_set": SET},
    "expect_column_pair_values_to_be_in_set": {"value_pairs_set": member},
    "expect_column_max_to_be_between": _BOUNDS,
    "expect_column_mean_to_be_between": _BOUNDS,
    "expect_column_median_to_be_between": _BOUNDS,
    "expect_column_min_to_be_between": _BOUNDS,
    "expect_column_values_to_be_between": _BOUNDS,
    "expect_column_stdev_to_be_between": _NUMBERS,
    "expect_column_sum_to_be_between": _NUMBERS,
    "expect_column_quantile_values_to_be_between": {"quantile_ranges.value_ranges": _Each(_Each(number))},
    "expect_column_kl_divergence_to_be_less_than": {
        "partition_object.values": SET,
        "partition_object.bins": _Each(number),
    },
    "expect_multicolumn_sum_to_equal": {"sum_total": number},
}
"""By expectation the arguments that are held against values of its columns, and how each is converted."""


def typed(entry: Entry, schema: pa.Schema, zone: Zone = UTC_ZONE) -> Entry:
    """The entry with its arguments in the types of its columns, as far as `schema` has them.

    Limits by history stay; of them it is only checked that the figure exists and can be held against the
    column. Raises `SpecError` naming place, argument, value and column.
    """
    known = [schema.field(name) for name in entry.columns_named if name in schema.names]
    held = HELD.get(entry.name, {})
    arguments = dict(entry.parsed)
    for path, convert in held.items():
        name, _, inner = path.partition(".")
        value, argument = arguments.get(name), _Argument(entry, path, convert, zone)
        if inner and isinstance(value, dict) and inner in value:
            arguments[name] = {**value, inner: argument.converted(known, value[inner])}
        elif not inner and value is not None:
            arguments[name] = argument.converted(known, value)
    names = {path.partition(".")[0] for path in held}
    for name, value in entry.parsed.items():
        for limit in limits(value):
            _check_limit(entry, name, limit, schema, known if name in names else [])
    return replace(entry, arguments=arguments)


def check_types(spec: Spec, suite: Suite, published: pa.Schema | None) -> None:
    """Check the suite's arguments against the published columns, and those that sources declare.

    Raises `SpecError` for the first that cannot be converted.
    """
    types = {column.name: column.type for column in published or ()}
    for source in spec.sources.values():
        for name, kind in source.config.types.items():
            types.setdefault(name, declared(kind))
    for entry in suite.entries:
        typed(entry, pa.schema(types.items()), spec.calendar.zone)


@dataclass(frozen=True)
class _Argument:
    """An argument of an entry, and how it is converted."""

    entry: Entry
    path: str
    convert: Convert
    zone: Zone

    def converted(self, columns: list[pa.Field], value: Any) -> Any:
        """The value in the type of the columns; as it is if none is known. Raises `SpecError`."""
        if self.path == "value_pairs_set":
            return self._pairs(columns, value)
        found = value
        for column in columns:
            found = self._one(column, value)
        return found

    def _pairs(self, columns: list[pa.Field], value: Any) -> Any:
        """Pairs of values, the first of `column_A` and the second of `column_B`."""
        if len(columns) < 2 or not isinstance(value, list):
            return value
        if any(not isinstance(pair, list) or len(pair) != 2 for pair in value):
            raise SpecError(f"{self._place}: write a list of pairs like [[1, 2]]")
        return [
            tuple(self._one(column, one) for column, one in zip(columns, pair, strict=True)) for pair in value
        ]

    def _one(self, column: pa.Field, value: Any) -> Any:
        try:
            return _told(self.convert, column, value, self.zone)
        except _NotOfTypeError as error:
            raise SpecError(
                f"{self._place}: {error.value} does not fit column '{column.name}' of type "
                f"{column.type}{error.why}: fix the argument"
            ) from None

    @property
    def _place(self) -> str:
        return f"{self.entry.place}: {self.entry.label}: {self.path}"


class _NotOfTypeError(ValueError):
    """A value that cannot be converted, as it is shown, and why if that is known."""

    def __init__(self, value: Any, why: str) -> None:
        super().__init__(why)
        self.value, self.why = shown(repr(value) if isinstance(value, str) else str(value)), why


def _told(convert: Convert, column: pa.Field, value: Any, zone: Zone) -> Any:
    if isinstance(value, Limit):
        return value
    try:
        return convert(column, value, zone)
    except _NotOfTypeError:
        raise
    except (ValueError, TypeError, OverflowError, ArithmeticError) as error:
        why = "" if str(error).startswith("column ") else f" ({error})"
        raise _NotOfTypeError(value, why) from None


def _check_limit(entry: Entry, name: str, limit: Limit, schema: pa.Schema, columns: list[pa.Field]) -> None:
    """Raise `SpecError` for a limit that could never apply, or not to this argument.

    `columns` are those that the argument is held against; without any it needs a number.
    """
    where = f"{entry.place}: {entry.label}: {name}: the limit 'of: {limit.of}'"
    is_time = False
    if limit.of != "row_count":
        if limit.column not in schema.names:
            return
        kind = schema.field(limit.column).type
        figures = figures_of(kind)
        if not any(limit.of.startswith(figure) for figure in figures):
            raise SpecError(
                f"{where}: column '{limit.column}' of type {kind} has no such figure: "
                f"write one of {', '.join(figures)}"
            )
        is_time = _is_time(kind) and limit.of != "null_share"
    if is_time and (limit.times != 1 or limit.plus != 0):
        raise SpecError(f"{where} is a time: leave out 'times' and 'plus'")
    if is_time and not columns:
        raise SpecError(f"{where} is a time, and a number is needed: write another figure or column")
    other = next((column for column in columns if _is_time(column.type) != is_time), None)
    if other is not None:
        raise SpecError(
            f"{where} is {'a time' if is_time else 'a number'}, and column '{other.name}' is of type "
            f"{other.type}: write another figure or column"
        )


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _member_number(column: pa.Field, value: Any, zone: Zone) -> Any:
    found = fitted(column, _number(value), zone)
    return float(found) if isinstance(found, Decimal) else found


def _text(value: Any) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, str):
        raise ValueError("it is not text: quote it")
    return value


def _truth(value: Any) -> bool:
    found = {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else value
    if found not in (True, False):
        raise ValueError("it is neither true nor false")
    return bool(found)


def _number(value: Any) -> int | float | Decimal:
    """A number, written as one or as text; text keeps its digits."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise ValueError("it is no number")
    if not isinstance(value, str):
        return value
    if not NUMBER.fullmatch(value.strip()):
        raise ValueError("it is no number")
    exact = Decimal(value.strip())
    return int(exact) if exact == exact.to_integral_value() and abs(exact) < 10**38 else exact


def _time(column: pa.Field, value: Any, zone: Zone) -> pd.Timestamp:
    """A time as pandas holds it in the column: in UTC, or of a column of days its midnight."""
    if isinstance(value, date):
        value = value.isoformat()
    if not isinstance(value, str):
        raise ValueError("it is no time")
    if pa.types.is_date(column.type):
        return pd.Timestamp(_day(value.strip(), zone))
    return pd.Timestamp(time_of(value.strip(), zone)).as_unit("us")


def _day(text: str, zone: Zone) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
    local = moment.astimezone(zone.info) if moment.tzinfo else moment
    if local.time() == time.min:
        return local.date()
    if moment.tzinfo and moment.astimezone(UTC).time() == time.min:
        return moment.astimezone(UTC).date()
    raise ValueError("it has a time of day, and the column has days")
