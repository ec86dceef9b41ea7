"""Values of JSON and CSV to the type a source declares for their column: each fits it exactly, or not."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from evergreen.ingestion.columns import declared
from evergreen.ingestion.shown import shown
from evergreen.ingestion.text_types import time_of

_EXACT = 2**53  # above it not every whole number has a float64 of its own
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
# Python types of values that Arrow itself converts exactly, or refuses.
_PLAIN: dict[str, set[type]] = {"text": {str}, "float": {float}, "int": {int}, "boolean": {bool}}


def declared_array(values: Sequence[Any], name: str) -> tuple[pa.Array | None, dict[int, str]]:
    """The values as an array of the declared type; or None, and why for each value that does not fit.

    Text fits numbers, truth values, dates and times if it is one (a time without an offset is UTC), and
    every value fits `text`: numbers, truth values and objects as JSON. NaN is no value.
    """
    kind = declared(name)
    if set(map(type, values)) - {type(None)} <= _PLAIN.get(name, set()):
        try:
            return pa.array(values, kind, from_pandas=True), {}
        except (pa.ArrowInvalid, OverflowError):
            pass  # an integer too large: found below
    fit = _fit(name, kind)
    fitting: list[Any] = []
    reasons: dict[int, str] = {}
    for at, value in enumerate(values):
        try:
            fitting.append(None if value is None or value != value else fit(value))  # noqa: PLR0124 - NaN
        except (ValueError, OverflowError, InvalidOperation, RecursionError):
            reasons[at] = f"'{shown(value)}' is no {name}"
    return (None, reasons) if reasons else (pa.array(fitting, kind), {})


def json_text(value: Any) -> str:
    """A value as JSON text with its keys in order, NaN and infinities as null; raises `RecursionError`."""
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False, default=float)
    except ValueError:
        return json.dumps(_finite(value), sort_keys=True, default=float)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _fit(name: str, kind: pa.DataType) -> Callable[[Any], Any]:
    if pa.types.is_decimal(kind):
        return lambda value: _decimal(value, kind)
    return _FITS[name]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, Decimal) else json_text(value)


def _float(value: Any) -> float:
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError
    return float(_no_truth(value))


def _int(value: Any) -> int:
    if isinstance(value, str):
        if not _WHOLE.fullmatch(value):
            raise ValueError
    elif not _is_whole(_no_truth(value)):
        raise ValueError
    whole = int(value)
    if not -(2**63) <= whole < 2**63:
        raise ValueError
    return whole


def _is_whole(value: float | Decimal) -> bool:
    if isinstance(value, float):
        return value.is_integer() and abs(value) <= _EXACT
    return value == int(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        return {"true": True, "false": False}[value.lower()] if value.lower() in ("true", "false") else _no()
    return value if isinstance(value, bool) else _no()


def _date(value: Any) -> date:
    return date.fromisoformat(value if isinstance(value, str) else _no())


def _time(value: Any) -> Any:
    return time_of(value if isinstance(value, str) else _no())


def _decimal(value: Any, kind: pa.DataType) -> Decimal:
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(_no_truth(value))
    pa.scalar(number, kind)  # refuses what would lose a digit
    return number


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
    "time": _time,
}
