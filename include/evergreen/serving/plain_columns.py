"""Columns of JSON values that are plainly of their column's type, read at once.

Of anything that could be wrong, or could be read in two ways, nothing is said here: `column_values` reads it
value by value, and says what does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from evergreen.calendar import Zone
from evergreen.serving.column_values import column_values

_WHOLE = 2**53  # up to it every whole number is a float of the same value


Read = Callable[[Sequence[Any]], pa.Array | None]
"""Values (n,) as an array of their column's type, as `column_values` gives it; None if one may not fit."""


def reader(kind: pa.DataType, written: str | None, zone: Zone) -> Read:
    """How a column of type `kind` is read; `written` is its type in the description, if it has one there."""
    plain = next((one for one in _PLAIN if one.holds(kind) and written in (None, one.name)), None)
    if plain is None:
        return lambda values: _fitting(values, kind, written, zone)
    known, looked_at, fits = {*plain.python, type(None)}, {*plain.looked_at}, plain.fits

    def read(values: Sequence[Any]) -> pa.Array | None:
        found = {*map(type, values)}
        if not found <= known or (found & looked_at and not fits(values)):
            return None
        try:
            return pa.array(values, kind)
        except (pa.ArrowInvalid, OverflowError):  # beyond the range of a narrower type
            return None

    return read


def _fitting(values: Sequence[Any], kind: pa.DataType, written: str | None, zone: Zone) -> pa.Array | None:
    found, misfits = column_values(values, kind, written, zone)
    return None if misfits else found


def _is_exact(values: Sequence[Any]) -> bool:
    return all(-_WHOLE <= value <= _WHOLE for value in values if type(value) is int)


def _has_no_nul(values: Sequence[Any]) -> bool:
    return not any("\0" in value for value in values if value is not None)


@dataclass(frozen=True)
class _Plain:
    """A type of the description by its `name`, and the types of JSON's values that it takes.

    Values of the types `looked_at` must also fit.
    """

    name: str
    holds: Callable[[pa.DataType], bool]
    python: tuple[type, ...]
    looked_at: tuple[type, ...] = ()
    fits: Callable[[Sequence[Any]], bool] = bool


_PLAIN = (
    _Plain("float", pa.types.is_float64, (float, int), (int,), _is_exact),
    _Plain("int", pa.types.is_integer, (int,)),
    _Plain("boolean", pa.types.is_boolean, (bool,)),
    _Plain("text", pa.types.is_string, (str,), (str,), _has_no_nul),
)
