"""Values of JSON in the type that their column is published in, by the rules that JSON files are read by."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import Zone
from evergreen.rows.columns import declared
from evergreen.rows.texts import NUL, has_nul
from evergreen.shown import shown
from evergreen.sources.text.declared import declared_array
from evergreen.sources.text.published import published_array

_NAMES = {declared(name): name for name in ("text", "float", "int", "boolean", "date", "time")}
_EXAMPLES = {"date": ", such as 2024-01-31", "time": " with an offset, such as 2024-01-31T08:00:00Z"}
_EXACT = 2**53  # from it on a whole number may have been rounded to this float

Misfits = dict[int, str]
"""Why values do not fit, by their index."""


def column_values(
    values: Sequence[Any], kind: pa.DataType, written: str | None, zone: Zone
) -> tuple[pa.Array, Misfits]:
    """The values (n,) as an array of the published type `kind`, null where one does not fit, and why.

    `written` is the type's name in the description, by which text is then read: a time without an offset is
    local in `zone`. Of a column that no description types, a time needs its offset, and a number may lose no
    digit.
    """
    if pa.types.is_list(kind):
        return _lists(values, kind, zone)
    name = written or _name(kind)
    found, misfits = _read(values, name, is_written=written is not None, zone=zone)
    if found.type != kind:
        found, beyond = _narrowed(found, kind)
        misfits |= dict.fromkeys(beyond, f"is beyond the range of {kind}")
    if has_nul(found):
        nul = pc.match_substring(found, "\0").fill_null(False)
        misfits |= {at: NUL for at, one in enumerate(nul.to_pylist()) if one}
    return found, misfits


def _name(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    return "int" if pa.types.is_integer(kind) else _NAMES[kind]


def _read(values: Sequence[Any], name: str, *, is_written: bool, zone: Zone) -> tuple[pa.Array, Misfits]:
    array = declared_array if is_written else published_array
    found, wrong = array(values, name, zone)
    wrong = {**_rounded(values, name), **wrong}
    if wrong:
        found, _ = array([None if at in wrong else value for at, value in enumerate(values)], name, zone)
    example = "" if is_written else _EXAMPLES.get(name, "")
    return found, {at: f"'{shown(values[at])}' is no {name}{example}" for at in wrong}


def _rounded(values: Sequence[Any], name: str) -> Misfits:
    """Whole numbers that are written as floats, and which may have lost digits by it."""
    if name != "int" or float not in set(map(type, values)):
        return {}
    return {at: "" for at, value in enumerate(values) if isinstance(value, float) and not abs(value) < _EXACT}


def _narrowed(numbers: pa.Array, kind: pa.DataType) -> tuple[pa.Array, list[int]]:
    """The numbers in a narrower type, null where they are beyond it, and the indices of these."""
    try:
        return numbers.cast(kind), []
    except pa.ArrowInvalid:
        back = numbers.cast(kind, safe=False).cast(numbers.type)
        fits = pc.equal(back, numbers)
        beyond = [at for at, one in enumerate(fits.to_pylist()) if one is False]
        return pc.if_else(fits, numbers, None).cast(kind), beyond


def _lists(values: Sequence[Any], kind: pa.ListType, zone: Zone) -> tuple[pa.Array, Misfits]:
    misfits = {
        at: f"'{shown(value)}' is no list"
        for at, value in enumerate(values)
        if value is not None and not isinstance(value, list)
    }
    lists = [value if isinstance(value, list) else [] for value in values]
    items, wrong = column_values(list(chain.from_iterable(lists)), kind.value_type, None, zone)
    owner = [at for at, items_of in enumerate(lists) for _ in items_of]
    for place, why in wrong.items():
        misfits.setdefault(owner[place], why)
    offsets = [0]
    for one in lists:
        offsets.append(offsets[-1] + len(one))
    none = pa.array([not isinstance(value, list) for value in values], pa.bool_())
    found = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items, type=kind, mask=none)
    return found, misfits
