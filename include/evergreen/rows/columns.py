"""The column types of the lake, and the conversion from the types of sources.

A column's type should not depend on the values of one day, because backfilling in another order would then
make another table. So numbers from text formats (JSON, CSV) are always float64, even if those of one day
happen to be whole, and every time is `timestamp[us, UTC]`; a published column keeps its type. A pipeline may
declare another type for a column.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import SourceError, one_line
from evergreen.rows.local import LOCAL, TIME, day_starts, local_days, moments
from evergreen.rows.names import check_names
from evergreen.rows.texts import check_texts, is_list, is_text
from evergreen.shown import shown
from evergreen.time_form import time_form, zone_in

_DECLARED = {
    "text": pa.string(),
    "float": pa.float64(),
    "int": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "time": TIME,
}
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
"""A finite decimal number as text."""

_DECIMAL = re.compile(r"decimal\(([0-9]+), ?([0-9]+)\)")
_DIGITS_128, _DIGITS_256 = 38, 76
_CANNOT = (pa.ArrowInvalid, pa.ArrowNotImplementedError)
# A time of day with an offset at its end; the hyphens of a date do not count as one.
_WITH_ZONE = r":[0-9.]+ ?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)$"
# The range that Python, pandas and most readers of the lake support. PostgreSQL's infinity lies outside.
_YEARS = {
    "timestamp": (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
    "date": (date.min, date.max),
}


@dataclass(frozen=True)
class LakeTypes:
    """The lake's types for a source's columns: those of `types` (column to type name), else the default.

    By default a number is float64, but an integer stays one if `whole_numbers`; a time is
    `timestamp[us, UTC]`, where one without a zone is local time of `zone`; a time of day is text; a list
    keeps its elements in these types. A column is cast to its declared type if no value loses anything.
    """

    types: Mapping[str, str] = field(default_factory=dict)
    whole_numbers: bool = True
    zone: Zone = UTC_ZONE

    def schema(self, source: pa.Schema) -> pa.Schema:
        """The lake's schema for a source's.

        Raises `SourceError` as `check_names` does, and for a column whose type (bytes, a structure, a list of
        lists) the lake does not support.
        """
        check_names(source.names)
        return pa.schema([(column.name, self._type(column)) for column in source])

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch cast to `schema`; raises `SourceError` naming the column that cannot be."""
        schema = self.schema(batch.schema)
        if not schema.names:
            return batch
        columns = [
            _cast(target.name, values, target.type, zone_in(self.types.get(target.name), self.zone))
            for target, values in zip(schema, batch.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def misfits(self, batch: pa.RecordBatch) -> dict[int, str]:
        """By index why rows cannot be cast to `schema`.

        Raises `SourceError` naming a column of a type that cannot become the lake's, whatever its values.
        """
        found: dict[int, str] = {}
        for target, values in zip(self.schema(batch.schema), batch.columns, strict=True):
            zone = zone_in(self.types.get(target.name), self.zone)
            for at, reason in _misfits(target.name, values, target.type, zone).items():
                found.setdefault(at, f"column '{shown(target.name)}': {reason}")
        return found

    def table(self, table: pa.Table) -> pa.Table:
        """The table cast to `schema`; raises `SourceError` naming the column that cannot be."""
        if not table.num_columns:
            return table
        schema = self.schema(table.schema)
        return pa.Table.from_batches([self.batch(batch) for batch in table.to_batches()], schema)

    def _type(self, column: pa.Field) -> pa.DataType:
        if column.name in self.types:
            return declared(self.types[column.name])
        target = _default(column.type, self.whole_numbers)
        if target is None:
            raise SourceError(
                f"column '{column.name}' is of type {column.type}, which the lake does not have: leave it "
                "out or cast it to text, a number or a time"
            )
        return target


def declared(name: str) -> pa.DataType:
    """The Arrow type for a type's name in a description; raises `SourceError` for an unknown name."""
    if name in _DECLARED:
        return _DECLARED[name]
    if form := time_form(name):
        return _DECLARED[form.kind]
    if match := _DECIMAL.fullmatch(name):
        precision, scale = int(match[1]), int(match[2])
        if 1 <= precision <= 38 and scale <= precision:
            return pa.decimal128(precision, scale)
    raise SourceError(
        f"type '{name}' is not a type of the lake: write one of {', '.join(_DECLARED)}, or decimal(p, s) "
        "with p at most 38 and s at most p"
    )


def decimals(texts: pa.Array, kind: pa.Decimal128Type) -> tuple[pa.Array, list[int]]:
    """The texts as exact decimal numbers, and the indices of those that do not fit the type.

    These are null in the array: text that is no finite number, such as `NaN`, and numbers with more digits
    than the type has, before or after the decimal point. A number may have an exponent; a null stays null.
    """
    texts = texts.cast(pa.string())
    found = _decimals_at_once(texts, kind)
    if found is not None:
        return found, []
    values = texts.to_pylist()
    numbers = [None if value is None else exact(value, kind) for value in values]
    none = [at for at, number in enumerate(numbers) if number is None and values[at] is not None]
    return pa.array(numbers, kind), none


def exact(number: str | int | Decimal, kind: pa.Decimal128Type) -> Decimal | None:
    """The number with the type's scale; None if a digit would be lost, or text is no finite number."""
    if isinstance(number, str) and not NUMBER.fullmatch(number):
        return None
    try:
        found = _context(kind.precision).quantize(Decimal(number), _last_digit(kind.scale))
    except (Inexact, InvalidOperation):
        return None
    return found if found.is_finite() else None


def held(values: pa.Array, target: pa.DataType, zone: Zone) -> pa.Array:
    """The values as the lake holds them: NaN is null.

    Raises `pa.ArrowInvalid` for a value that it cannot hold, or `pa.ArrowNotImplementedError` for a type.
    """
    values = plain(values)
    check_texts(values)
    result = values if values.type == target else _converted(values, target, zone)
    _check_years(result)
    if pa.types.is_floating(result.type) and pc.any(nan := pc.is_nan(result)).as_py():
        return pc.if_else(nan, pa.scalar(None, result.type), result)
    return result


def plain(values: pa.Array) -> pa.Array:
    """The values of an extension or dictionary column in their plain type."""
    if isinstance(values.type, pa.UuidType):
        texts = [value and str(uuid.UUID(bytes=value)) for value in values.storage.to_pylist()]
        return pa.array(texts, pa.string())
    if isinstance(values, pa.ExtensionArray):
        return plain(values.storage)
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


@cache
def _context(digits: int) -> Context:
    """Arithmetic that raises if a digit would be lost, or if there are too many."""
    return Context(prec=digits, traps=[Inexact, InvalidOperation])


@cache
def _last_digit(scale: int) -> Decimal:
    return Decimal((0, (1,), -scale))


def _default(kind: pa.DataType, whole_numbers: bool) -> pa.DataType | None:
    types = pa.types
    if isinstance(kind, pa.UuidType):
        return pa.string()
    if isinstance(kind, pa.BaseExtensionType):
        is_number = getattr(kind, "type_name", "") == "numeric"
        return pa.float64() if is_number else _default(kind.storage_type, whole_numbers)
    if types.is_dictionary(kind):
        return _default(kind.value_type, whole_numbers)
    if is_list(kind):
        inner = None if is_list(kind.value_type) else _default(kind.value_type, whole_numbers)
        return inner and pa.list_(inner)
    return _default_scalar(kind, whole_numbers)


def _default_scalar(kind: pa.DataType, whole_numbers: bool) -> pa.DataType | None:
    types = pa.types
    if types.is_timestamp(kind):
        return TIME
    if types.is_decimal(kind) or types.is_floating(kind) or types.is_unsigned_integer(kind):
        return pa.float64()
    if types.is_integer(kind):
        return kind if whole_numbers else pa.float64()
    if is_text(kind) or types.is_time(kind):
        return pa.string()
    if types.is_date(kind):
        return pa.date32()
    return kind if types.is_boolean(kind) or types.is_null(kind) else None


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _cast(name: str, values: pa.Array, target: pa.DataType, zone: Zone) -> pa.Array:
    try:
        return held(values, target, zone)
    except _CANNOT as error:
        reason = one_line(error, 200)
        raise SourceError(f"column '{name}' cannot be read as {target}: {reason}: fix the source") from None


def _misfits(name: str, values: pa.Array, target: pa.DataType, zone: Zone) -> dict[int, str]:
    """By index why a value cannot be cast, found by halving; raises `SourceError` if none of the type can."""
    found: dict[int, str] = {}
    waiting = [(0, len(values))]
    while waiting:
        begin, end = waiting.pop()
        try:
            held(values.slice(begin, end - begin), target, zone)
        except _CANNOT as error:
            if end - begin == len(values):
                _cast(name, values.slice(0, 0), target, zone)
            if end - begin == 1:
                found[begin] = one_line(error, 200)
            else:
                middle = (begin + end) // 2
                waiting += [(middle, end), (begin, middle)]
    return found


def _converted(values: pa.Array, target: pa.DataType, zone: Zone) -> pa.Array:
    """The values in the type; raises `pa.ArrowInvalid` if a value would lose anything."""
    types, kind = pa.types, values.type
    is_time = types.is_temporal(target)
    if (is_time and _is_number(kind)) or (_is_number(target) and types.is_temporal(kind)):
        raise pa.ArrowInvalid(f"{kind} cannot become {target}")
    if is_time and is_text(kind):
        return _read_times(values, zone).cast(target)
    if types.is_timestamp(kind) or target in (TIME, pa.list_(TIME)):
        return _times_converted(values, target, zone)
    if types.is_boolean(target) and _is_number(kind):
        return _truths(values)
    if types.is_decimal(target):
        return _decimal(values, target)
    return values.cast(target)


def _decimal(values: pa.Array, target: pa.Decimal128Type) -> pa.Array:
    types, kind = pa.types, values.type
    if types.is_integer(kind) or types.is_decimal128(kind):
        # Arrow requires precision for the largest possible integer, and overflows from decimal128 silently.
        return values.cast(pa.decimal256(_DIGITS_256, target.scale)).cast(target)
    if not (is_text(kind) or types.is_decimal256(kind) or _is_bytes(kind)):
        return values.cast(target)
    texts = values.cast(pa.string())
    found, none = decimals(texts, target)
    if none:
        raise pa.ArrowInvalid(f"'{shown(texts[none[0]].as_py())}' is not exactly one")
    return found


def _decimals_at_once(texts: pa.Array, kind: pa.Decimal128Type) -> pa.Array | None:
    """The texts as Arrow parses them; None if it would, or might, get other numbers.

    That happens with numbers whose digits overflow while parsing, and some with an exponent.
    """
    most = (pc.max(pc.binary_length(texts)).as_py() or 0) + kind.scale
    if most > _DIGITS_256 or pc.any(pc.match_substring(texts, "e", ignore_case=True)).as_py():
        return None
    room = kind if most <= _DIGITS_128 else pa.decimal256(_DIGITS_256, kind.scale)
    try:
        return texts.cast(room).cast(kind)
    except pa.ArrowInvalid:
        return None


def _times_converted(values: pa.Array, target: pa.DataType, zone: Zone) -> pa.Array:
    """Times, or lists of them, in a type of times, days or text."""
    kind = values.type
    if pa.types.is_date(kind) and target == TIME:
        times, none = day_starts(values, zone)
        if none:
            raise pa.ArrowInvalid(f"{values[none[0]]}: the clocks in {zone.name} skip this day")
        return times
    if is_list(kind) and kind.value_type.tz is None:
        # Copied, so that its offsets begin at 0.
        lists = pa.concat_arrays([values.cast(pa.list_(LOCAL))])
        return pa.ListArray.from_arrays(lists.offsets, _existing(lists.values, zone), mask=lists.is_null())
    if target == TIME and pa.types.is_timestamp(kind) and kind.tz is None:
        return _existing(values, zone)
    if pa.types.is_date(target):
        return values.cast(LOCAL).cast(target) if kind.tz is None else local_days(values, zone)
    return values.cast(target)


def _existing(values: pa.Array, zone: Zone) -> pa.Array:
    """Local times as moments; raises `pa.ArrowInvalid` for one that the clocks skip."""
    times, none = moments(values, zone)
    if none:
        raise pa.ArrowInvalid(zone.why_none(values[none[0]].cast(LOCAL, safe=False).as_py()))
    return times


def _read_times(texts: pa.Array, zone: Zone) -> pa.Array:
    """Times from their ISO texts; one without an offset is local time of the zone."""
    texts = texts.cast(pa.string())
    zoned = pc.match_substring_regex(texts, _WITH_ZONE)
    nothing = pa.scalar(None, pa.string())
    local = pc.if_else(zoned, nothing, texts).cast(LOCAL)
    return pc.coalesce(pc.if_else(zoned, texts, nothing).cast(TIME), _existing(local, zone))


def _truths(numbers: pa.Array) -> pa.Array:
    whole_numbers = numbers.cast(pa.int64())
    if pc.any(pc.and_(pc.not_equal(whole_numbers, 0), pc.not_equal(whole_numbers, 1))).as_py():
        raise pa.ArrowInvalid("a number other than 0 and 1 is neither true nor false")
    return whole_numbers.cast(pa.bool_())


def _check_years(values: pa.Array) -> None:
    while is_list(values.type):
        values = values.flatten()
    if not (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)):
        return
    first, last = _YEARS["timestamp" if pa.types.is_timestamp(values.type) else "date"]
    span = pc.min_max(values)
    for end in (span["min"], span["max"]):
        if end.is_valid and not _scalar(first, values.type) <= _count(end) <= _scalar(last, values.type):
            raise pa.ArrowInvalid("a time outside the years 1 to 9999 (infinity is one)")


def _count(moment: pa.Scalar) -> int:
    """Days or microseconds since 1970: Python has no time outside the years 1 to 9999."""
    return int(moment.value)


def _scalar(moment: date | datetime, kind: pa.DataType) -> int:
    return _count(pa.scalar(moment, kind))
