"""Values of JSON in the type that their column is published in, which nobody has declared."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.shown import shown
from evergreen.sources.text.column_types import unlike
from evergreen.sources.text.declared import declared_array, loses_digits
from evergreen.sources.text.types import read

_NUMBERS = {int, float, Decimal}


def published_array(
    values: Sequence[Any], name: str, zone: Zone = UTC_ZONE
) -> tuple[pa.Array | None, dict[int, str]]:
    """As `declared_array`; but a number that would lose digits does not fit, nor a time without an offset."""
    if (found := _at_once(values, name)) is not None:
        return found, {}
    found, misfits = declared_array(values, name, zone)
    losses = _losses(values, name)
    reasons = unlike(name, losses, misfits)
    return (None, reasons) if reasons else (found, {})


def _at_once(values: Sequence[Any], name: str) -> pa.Array | None:
    """The values of an ordinary day, fast; None if they must be looked at one by one."""
    kinds = set(map(type, values)) - {type(None)}
    if name == "float" and kinds <= _NUMBERS:
        if Decimal in kinds:
            values = [float(value) if isinstance(value, Decimal) else value for value in values]
        with suppress(pa.ArrowInvalid, OverflowError):  # a whole number beyond 2**53
            found = pa.array(values, pa.float64(), from_pandas=True)
            return None if pc.any(pc.is_inf(found)).as_py() else found
    if name == "time" and kinds <= {str}:
        texts = pa.array(values, pa.string())
        times = read(texts, "instant")
        return times if times is not None and times.null_count == texts.null_count else None
    return None


def _losses(values: Sequence[Any], name: str) -> dict[int, str]:
    """By index what values would lose in the type."""
    if name in ("text", "boolean", "date"):
        return {}
    loses, why = (_is_local, "is a time without an offset")
    if name != "time":
        loses, why = partial(loses_digits, name=name), f"is no {name} without loss"
    return {at: f"'{shown(value)}' {why}" for at, value in enumerate(values) if loses(value)}


def _is_local(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is None
    except ValueError:
        return False
