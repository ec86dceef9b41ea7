"""Columns of text: what one may be read as, and whether each value fits a declared type."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import UTC_ZONE, NoSuchTimeError, Zone
from evergreen.rows.columns import decimals, declared
from evergreen.rows.local import TIME, moments
from evergreen.shown import shown
from evergreen.sources.text.column_types import unlike
from evergreen.sources.text.declared import declared_array, loses_digits, time_of, why_no_time
from evergreen.sources.text.number_form import PLAIN, NumberForm
from evergreen.sources.text.time_texts import read_form
from evergreen.time_form import time_form

_Reader = Callable[[pa.Array, Zone], pa.Array | None]

READINGS = {
    "float": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "time": TIME,
    "instant": TIME,
}
"""What text may be read as, and the type that it then has."""

IN_CSV = ("float", "boolean", "date", "time")
"""What undeclared text of CSV may be, in order of preference."""

_NO_NUMBERS = ("text", "boolean", "date", "time")

IN_JSON = ("instant",)
"""What undeclared text of JSON may be: JSON has numbers and truth values of its own."""

_EXACT = 2**53  # above it float64 cannot represent every whole number
_EXACT_DIGITS = 16
_DAY = pa.scalar(86_400_000_000, pa.int64())
_FIRST_TIME = int(pa.scalar(datetime(1, 1, 1, tzinfo=UTC), TIME).value)
_LAST_TIME = int(pa.scalar(datetime.max.replace(tzinfo=UTC), TIME).value)


def in_csv(numbers: NumberForm) -> tuple[str, ...]:
    """What undeclared text of CSV may be, where numbers are written in a form: `float ,.` for 1.234,50."""
    form = "" if numbers == PLAIN else f" {numbers.decimal}{numbers.thousands}"
    return tuple(f"{name}{form}" if name == "float" else name for name in IN_CSV)


def type_of(reading: str) -> pa.DataType:
    """The type of text that is read so."""
    return READINGS[reading.partition(" ")[0]]


def read(texts: pa.Array, reading: str, zone: Zone = UTC_ZONE) -> pa.Array | None:
    """The texts as one of `in_csv` or `IN_JSON`, or None if one is not of that kind; a null stays null.

    `float`: finite decimal numbers, and NaN, which is null. Numbers written like "01234", and whole ones
    beyond 2**53, are none: they are codes, and as float64 would lose their zeros or digits. `boolean`: true
    or false, in either case. `date`: 2024-01-31. `time`: ISO 8601, without an offset local time of the zone,
    and null where its clocks skip it (see `skipped`). Spaces around these are ignored. `instant`: ISO
    8601 with an offset.
    """
    name, _, signs = reading.partition(" ")
    if signs:
        numbers = NumberForm(signs[0], signs[1:])
        first = texts.drop_null()[:1]  # most columns are no numbers, which the first value tells
        if _READERS[name](numbers.plain(first), zone) is None:
            return None
        texts = numbers.plain(texts)
    return _READERS[name](texts, zone)


def skipped(texts: pa.Array, times: pa.Array, zone: Zone) -> dict[int, str]:
    """By index why texts, which were read as `times` in the zone, are none: its clocks skip them."""
    if times.null_count == texts.null_count:
        return {}
    none = np.flatnonzero(pc.and_(pc.is_null(times), pc.is_valid(texts)).to_numpy(zero_copy_only=False))
    return {at: why_no_time(texts[at].as_py(), zone) for at in none.tolist()}


def fit(
    texts: pa.Array, type_name: str, zone: Zone = UTC_ZONE, numbers: NumberForm = PLAIN
) -> tuple[pa.Array, dict[int, str]]:
    """The texts in the declared type, and by index why a value does not fit it (it is then null here)."""
    if form := time_form(type_name):
        return read_form(texts, form, zone) if form.form else fit(texts, "time", form.zone or zone)
    if numbers != PLAIN and type_name not in _NO_NUMBERS:
        found, none = fit(numbers.plain(texts), type_name, zone)
        return found, {at: f"'{shown(texts[at].as_py())}' is no {type_name}" for at in none}
    if type_name == "text":
        return texts, {}
    if type_name not in _DECLARED:
        return _fit_decimals(pc.ascii_trim_whitespace(texts), type_name)
    found = _DECLARED[type_name](texts, zone)
    whole = found is not None and (type_name != "time" or found.null_count == texts.null_count)
    return (found, {}) if whole else _fit_each(texts, type_name, zone)


def fit_published(
    texts: pa.Array, type_name: str, zone: Zone = UTC_ZONE, numbers: NumberForm = PLAIN
) -> tuple[pa.Array, dict[int, str]]:
    """As `fit`, for a type that nobody declared: what `read` takes for no number does not fit one."""
    if type_name == "float" and (values := read(texts, in_csv(numbers)[0], zone)) is not None:
        return values, {}
    found, misfits = fit(texts, type_name, zone, numbers)
    losses = {} if type_name in _NO_NUMBERS else _losses(texts, type_name, numbers)
    return found, unlike(type_name, losses, misfits)


def _losses(texts: pa.Array, type_name: str, numbers: NumberForm) -> dict[int, str]:
    """By index which numbers would lose digits in the type."""
    plain = pc.ascii_trim_whitespace(texts if numbers == PLAIN else numbers.plain(texts))
    if not len(plain) or (type_name != "float" and not _any_leading_zero(plain)):
        return {}
    return {
        at: f"'{shown(texts[at].as_py())}' is no {type_name} without loss"
        for at, text in enumerate(plain.to_pylist())
        if text is not None and loses_digits(text, type_name)
    }


def _fit_decimals(texts: pa.Array, type_name: str) -> tuple[pa.Array, dict[int, str]]:
    found, none = decimals(texts, declared(type_name))
    return found, {at: f"'{shown(texts[at].as_py())}' is no {type_name}" for at in none}


def _fit_each(texts: pa.Array, type_name: str, zone: Zone) -> tuple[pa.Array, dict[int, str]]:
    """The same value by value; slower by far."""
    values = pc.ascii_trim_whitespace(texts).to_pylist()
    if type_name == "float":
        values = [None if value is not None and value.lower() == "nan" else value for value in values]
    found, reasons = declared_array(values, type_name, zone)
    if reasons:
        values = [None if at in reasons else value for at, value in enumerate(values)]
        found, _ = declared_array(values, type_name, zone)
    assert found is not None
    return found, reasons


def _spaced(reader: _Reader) -> _Reader:
    """The reader, which ignores spaces around a value."""

    def read_spaced(texts: pa.Array, zone: Zone) -> pa.Array | None:
        if (found := reader(texts, zone)) is not None:
            return found
        trimmed = pc.ascii_trim_whitespace(texts)
        return None if trimmed.equals(texts) else reader(trimmed, zone)

    return read_spaced


def _cast(kind: pa.DataType) -> Callable[[pa.Array], pa.Array | None]:
    def read(texts: pa.Array) -> pa.Array | None:
        try:
            # Arrow writes a message for each value that it cannot read: so it is first asked for one.
            texts.drop_null()[:1].cast(kind)
            return texts.cast(kind)
        except pa.ArrowInvalid:
            return None

    return read


_floats = _cast(pa.float64())
_integers = _cast(pa.int64())
_truths = _cast(pa.bool_())
_dates = _cast(pa.date32())


def _number(texts: pa.Array) -> pa.Array | None:
    values = _float(texts)
    if values is None or _any_leading_zero(texts) or _any_inexact(texts, values):
        return None
    return values


def _float(texts: pa.Array) -> pa.Array | None:
    values = _floats(texts)
    if values is None:
        return None
    numbers = _numbers(values)
    if np.isfinite(numbers).all():
        return values
    return None if np.isinf(numbers).any() else pc.if_else(pc.is_nan(values), None, values)


def _numbers(values: pa.Array) -> np.ndarray:
    """Floats, with 0 where there is none."""
    numbers: np.ndarray = (values.fill_null(0) if values.null_count else values).to_numpy()
    return numbers


def _any_leading_zero(texts: pa.Array) -> bool:
    """Whether one begins with a zero and another digit, after its sign if it has one."""
    ends = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4)
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    starts = ends[:-1][np.diff(ends) > 1]
    first = data[starts]
    # Signs and zero are below 1 in ASCII; most numbers begin above it.
    below = first < ord("1")
    if not below.any():
        return False
    starts, first = starts[below], first[below]
    starts = starts + (first != ord("0"))
    second = data[np.minimum(starts + 1, len(data) - 1)]
    there = np.searchsorted(ends, starts, side="right") == np.searchsorted(ends, starts + 1, side="right")
    return bool((there & (data[starts] == ord("0")) & (second >= ord("0")) & (second <= ord("9"))).any())


def _any_inexact(texts: pa.Array, values: pa.Array) -> bool:
    """Whether one is a whole number, written as such, that float64 may not hold."""
    numbers = _numbers(values)
    if not len(numbers) or max(numbers.max(), -numbers.min()) < _EXACT:
        return False
    for at in np.flatnonzero(np.abs(numbers) >= _EXACT):
        digits = texts[int(at)].as_py().lstrip("+-")
        if digits.isdigit() and (len(digits) > _EXACT_DIGITS or int(digits) > _EXACT):
            return True
    return False


def _whole(texts: pa.Array) -> pa.Array | None:
    # Arrow reads hexadecimal numbers too.
    return None if pc.any(pc.match_substring(texts, "x", ignore_case=True)).as_py() else _integers(texts)


def _boolean(texts: pa.Array) -> pa.Array | None:
    # Arrow reads 0 and 1 too.
    shortest = pc.min(pc.binary_length(texts)).as_py()
    return None if shortest is not None and shortest < len("true") else _truths(texts)


def _date(texts: pa.Array) -> pa.Array | None:
    return _within_years(_dates(texts), _FIRST_TIME // _DAY.as_py(), _LAST_TIME // _DAY.as_py())


def _time(texts: pa.Array, zone: Zone) -> pa.Array | None:
    first = texts.drop_null()[:1].to_pylist()
    if first and first[0].strip()[4:5] != "-":  # which costs less than to try
        return None
    try:
        times, _ = moments(texts.cast(pa.timestamp("us")), zone)
    except pa.ArrowInvalid:
        return _zoned(texts, zone)
    return _within_years(times, _FIRST_TIME, _LAST_TIME)


def _instant(texts: pa.Array, zone: Zone) -> pa.Array | None:
    try:
        for text in texts.drop_null()[:1].to_pylist():  # ordinary text fails here
            _time_or_none(text, zone, needs_offset=True)
    except (ValueError, OverflowError):
        return None
    return _zoned(texts, zone, needs_offset=True)


def _zoned(texts: pa.Array, zone: Zone, needs_offset: bool = False) -> pa.Array | None:
    try:
        return _within_years(texts.cast(TIME), _FIRST_TIME, _LAST_TIME)
    except pa.ArrowInvalid:
        # Arrow's parser is fast, Python's knows all of ISO 8601, and a column with and without offsets.
        try:
            times = [
                None if text is None else _time_or_none(text, zone, needs_offset)
                for text in texts.to_pylist()
            ]
        except (ValueError, OverflowError):
            return None
        return pa.array(times, TIME)


def _time_or_none(text: str, zone: Zone, needs_offset: bool) -> datetime | None:
    try:
        return time_of(text, zone, needs_offset)
    except NoSuchTimeError:
        return None


def _within_years(values: pa.Array | None, first: int, last: int) -> pa.Array | None:
    """The values if Python has a name for all of them: they lie in the years 1 to 9999."""
    if values is None or values.null_count == len(values):
        return values
    span = pc.min_max(values)
    return values if first <= span["min"].value and span["max"].value <= last else None


def _zoneless(reader: Callable[[pa.Array], pa.Array | None]) -> _Reader:
    return lambda texts, _: reader(texts)


_READERS: dict[str, _Reader] = {
    "float": _spaced(_zoneless(_number)),
    "boolean": _spaced(_zoneless(_boolean)),
    "date": _spaced(_zoneless(_date)),
    "time": _spaced(_time),
    "instant": _instant,
}
_DECLARED: dict[str, _Reader] = {
    "float": _zoneless(_float),
    "int": _zoneless(_whole),
    "boolean": _zoneless(_boolean),
    "date": _zoneless(_date),
    "time": _time,
}
