"""Converts values of JSON and CSV to the declared type of their column, without loss, or rejects them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import UTC_ZONE, NoSuchTimeError, Zone
from evergreen.rows.columns import NUMBER, declared, exact
from evergreen.shown import shown
from evergreen.time_form import time_form

_EXACT = 2**53  # above it float64 cannot represent every whole number
_INT64_DIGITS = pa.decimal128(19, 0)
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
# Python types of values that Arrow itself converts exactly, or refuses.
_PLAIN: dict[str, set[type]] = {"text": {str}, "float": {float}, "int": {int}, "boolean": {bool}}


_LEADING_ZERO = re.compile(r"[+-]?0[0-9]")
_ALL_DIGITS = re.compile(r"[+-]?[0-9]+")
_TOO_FINE = re.compile(r"[.,][0-9]{6}[0-9]*[1-9]")


class TooFineError(NoSuchTimeError):
    """A time that no column of the lake holds without loss."""


def declared_array(
    values: Sequence[Any], name: str, zone: Zone = UTC_ZONE
) -> tuple[pa.Array | None, dict[int, str]]:
    """The values as an array of the declared type; or None, and why for each value that does not fit.

    Text fits numbers, truth values, dates and times if it is one (without an offset it is local), and
    every value fits `text`: numbers, truth values and objects as JSON. A decimal takes a number all of whose
    digits it has, a float any that is finite (1e999 is not). NaN is no value.
    """
    kind = declared(name)
    if set(map(type, values)) - {type(None)} <= _PLAIN.get(name, set()):
        try:
            found = pa.array(values, kind, from_pandas=True)
        except (pa.ArrowInvalid, OverflowError):
            pass  # an integer too large: found below
        else:
            if name != "float" or not pc.any(pc.is_inf(found)).as_py():
                return found, {}
    fit = _fit(name, kind, zone)
    fitting: list[Any] = []
    reasons: dict[int, str] = {}
    for at, value in enumerate(values):
        try:
            fitting.append(None if value is None or value != value else fit(value))  # noqa: PLR0124 - NaN
        except NoSuchTimeError as error:
            reasons[at] = str(error)
        except (ValueError, OverflowError, RecursionError):
            reasons[at] = f"'{shown(value)}' is no {name}"
    return (None, reasons) if reasons else (pa.array(fitting, kind), {})


def loses_digits(value: Any, name: str) -> bool:
    """Whether a number would lose digits in the type: zeros it begins with, or as a float beyond 2**53."""
    if isinstance(value, str) and _LEADING_ZERO.match(value):
        return True
    if name != "float":
        return False
    if isinstance(value, str):
        return bool(_ALL_DIGITS.fullmatch(value)) and abs(Decimal(value)) > _EXACT
    return isinstance(value, int) and abs(value) > _EXACT


def json_text(value: Any) -> str:
    """A value as JSON text with its keys in order, NaN as null.

    Raises `OverflowError` for a number in it that is not finite, or beyond float64, and `RecursionError`.
    """
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False, default=float)
    except ValueError:
        return json.dumps(_without_nan(value), sort_keys=True, default=float)


def time_of(text: str, zone: Zone = UTC_ZONE, needs_offset: bool = False) -> datetime:
    """The time that an ISO 8601 text says, in UTC; raises `ValueError` for other text.

    One without an offset is local time of the zone; `NoSuchTimeError` is raised where its clocks skip it,
    and `TooFineError` if digits behind the microseconds are not 0.
    """
    if _TOO_FINE.search(text):
        raise TooFineError(
            f"'{shown(text)}' has digits behind the microseconds: round it, or declare it text"
        )
    if "24:" in text[10:14]:
        raise ValueError("24:00")  # which only some versions of Python read
    time = datetime.fromisoformat(text)
    if time.tzinfo is None and needs_offset:
        raise ValueError("no offset")
    return time.astimezone(UTC) if time.tzinfo else zone.moment(time)


def why_no_time(text: str, zone: Zone) -> str:
    """Why a text is no time, in words."""
    try:
        time_of(text.strip(), zone)
    except NoSuchTimeError as error:
        return str(error)
    except (ValueError, OverflowError):
        pass
    return f"'{shown(text)}' is no time"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    if not isinstance(value, float | Decimal) or math.isfinite(float(value)):
        return value
    if value == value:  # noqa: PLR0124 - NaN
        raise OverflowError
    return None


def _fit(name: str, kind: pa.DataType, zone: Zone) -> Callable[[Any], Any]:
    if form := time_form(name):
        return lambda value: form.read(value if isinstance(value, str) else _no(), zone)
    if name == "time":
        return lambda value: time_of(value if isinstance(value, str) else _no(), zone)
    if pa.types.is_decimal(kind):
        return lambda value: _decimal(value, kind)
    return _FITS[name]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, Decimal) else json_text(value)


def _float(value: Any) -> float:
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise ValueError
    number = float(_no_truth(value))
    return number if math.isfinite(number) else _no()


def _int(value: Any) -> int:
    number = value
    if isinstance(value, str):
        number = (
            int(value) if _WHOLE.fullmatch(value) else Decimal(value if NUMBER.fullmatch(value) else _no())
        )
    if not _is_whole(_no_truth(number)):
        raise ValueError
    whole = int(number)
    if not -(2**63) <= whole < 2**63:
        raise ValueError
    return whole


def _is_whole(value: int | float | Decimal) -> bool:
    """Whether it is whole by its digits; one with a point only below 2**53, where floats are exact."""
    if isinstance(value, float):
        return value.is_integer() and abs(value) <= _EXACT
    if isinstance(value, int):
        return True
    found = exact(value, _INT64_DIGITS)
    has_point = "." in str(value)
    return found is not None and (not has_point or abs(found) < _EXACT)


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        return {"true": True, "false": False}[value.lower()] if value.lower() in ("true", "false") else _no()
    return value if isinstance(value, bool) else _no()


def _date(value: Any) -> date:
    return date.fromisoformat(value if isinstance(value, str) else _no())


def _decimal(value: Any, kind: pa.DataType) -> Decimal:
    number = exact(repr(value) if isinstance(value, float) else _no_truth(value), kind)
    return _no() if number is None else number


def _no_truth(value: Any) -> Any:
    return value if isinstance(value, str | int | float | Decimal) and not isinstance(value, bool) else _no()


def _no() -> Any:
    raise ValueError


_FITS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "float": _float,
    "int": _int,
    "boolean": _boolean,
    "date": _date,
}
