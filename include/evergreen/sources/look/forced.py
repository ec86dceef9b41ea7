"""The first value that made a column of text what it is."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.rows.texts import are_codes, codes_among
from evergreen.shown import shown
from evergreen.sources.look.found import Forced
from evergreen.sources.look.sniff.times import forms_of
from evergreen.sources.text.number_form import NumberForm
from evergreen.sources.text.types import fit, in_csv, read

_PROBED = 100
_NUMBER = r"^\s*[+-]?((0|[1-9][0-9]{0,15})(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"


def forcing(
    texts: pa.Array, numbers: NumberForm, place: Callable[[int], str], *, has_types: bool = False
) -> Forced | None:
    """The first value by which a column is text, where `place` names a row by its index (from 0).

    It is held against numbers if a value is one, else against dates and times of the form of the first value.
    Where all values are digits, the first code among them makes codes of the others too.
    None where no value forces it, and with `has_types`, for sources that call a column text themselves, where
    all values do.
    """
    there = texts.drop_null()
    if not len(there):
        return None
    plain = numbers.plain(there)
    are_numbers = int(pc.sum(pc.match_substring_regex(plain, _NUMBER)).as_py() or 0)
    reading = next(name for name in in_csv(numbers) if name.startswith("float"))
    if are_codes(there):
        if has_types:
            return None
        kind, at, others = "number", int(pc.index(codes_among(there), True).as_py()), 0
    elif read(there, reading) is not None:
        return None
    elif are_numbers:
        kind, at, others = "number", _first_bad(there, reading), are_numbers
    else:
        kind, at, others = _of_times(there)
        if has_types and not others:
            return None
    row = int(pc.index(pc.cumulative_sum(pc.cast(pc.is_valid(texts), pa.int64())), at + 1).as_py())
    return Forced(place(row), shown(there[at].as_py()), kind, others)


def _first_bad(texts: pa.Array, reading: str) -> int:
    """The index of the first value with which the texts up to it cannot be read so."""
    low, high = 0, len(texts)  # the first `low` can be read, the first `high` cannot
    while high - low > 1:
        middle = (low + high) // 2
        if read(texts.slice(0, middle), reading) is None:
            high = middle
        else:
            low = middle
    return high - 1


def _of_times(texts: pa.Array) -> tuple[str, int, int]:
    """The kind of times that the first values are, the first that is none, and how many others are."""
    few = texts.slice(0, 1)
    for name in ("date", "time"):
        if read(few, name) is not None and read(texts, name) is None:
            _, misfits = fit(texts, name)
            if misfits:
                return name, min(misfits), len(texts) - len(misfits)
    for form in forms_of(few):
        _, misfits = fit(texts, form)
        if misfits and len(misfits) < len(texts) / 2:
            return form, min(misfits), len(texts) - len(misfits)
    return "number", 0, 0
