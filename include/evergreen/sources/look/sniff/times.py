"""In which form a column writes its dates or times, where it is not ISO 8601."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import UTC_ZONE
from evergreen.shown import shown
from evergreen.sources.text.time_texts import read_form
from evergreen.time_form import time_form

# Each with the sign between the parts in place of a slash.
_NUMERIC = ("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d")
_NAMED = (
    "%d/%b/%Y",
    "%d/%B/%Y",
    "%d/%b/%y",
    "%d. %b %Y",
    "%d. %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%B %d %Y",
)
_COMPACT = "%Y%m%d"
_CLOCKS = (
    "%H:%M",
    "%H:%M:%S",
    "%H:%M:%S.%f",
    "%I:%M %p",
    "%I:%M:%S %p",
    "%I:%M%p",
    "%H.%M",
    "%H.%M.%S",
)
_SIGN = re.compile(r"\d+([-./ ])(?:\d+|[A-Za-z]+)[-./ ]", re.ASCII)
_CLOCK = re.compile(r"[T ]\d{1,2}[:.]?\d{2}")
_OFFSET = re.compile(r"( ?)([+-]\d{2}:?\d{2}|Z)$")
_COMPACT_CLOCK = re.compile(r"[T ](\d{4}|\d{6})(?!\d)")
_DIGITS_OF = {4: "%H%M", 6: "%H%M%S"}
_FEW = 50


@dataclass(frozen=True)
class Times:
    """The forms that read all of a column's texts; where there are several, none is right for sure."""

    forms: tuple[str, ...]

    @property
    def form(self) -> str | None:
        """The only form, as the type of a column."""
        return self.forms[0] if len(self.forms) == 1 else None


def sniff_times(columns: Mapping[str, pa.Array]) -> dict[str, Times]:
    """The forms of the columns that hold dates or times in one of them.

    Where a column leaves the order of day and month open, another one with the same signs may tell it.
    """
    found = {name: Times(tuple(forms_of(texts))) for name, texts in columns.items()}
    found = {name: times for name, times in found.items() if times.forms}
    told = {times.form.partition(" ")[2][:8] for times in found.values() if times.form}
    return {name: _as_told(times, told) for name, times in found.items()}


def undecided(found: Mapping[str, Times], texts: Mapping[str, pa.Array]) -> list[str]:
    """What is to be said of columns whose texts may be written in several forms."""
    return [
        f"types: column '{name}' ('{_first(texts[name])}') is {' or '.join(one.forms)}, and no value tells "
        "which: it is left as text"
        for name, one in found.items()
        if one.form is None
    ]


def _first(texts: pa.Array) -> str:
    return shown(texts.drop_null()[0].as_py())


def forms_of(texts: pa.Array) -> Iterator[str]:
    """The forms, as types of a column, that read all of the texts; of those that read the same one only."""
    there = texts.drop_null().unique()
    if not len(there):
        return
    read: list[pa.Array] = []
    for name in _candidates(there[0].as_py().strip()):
        if _read(name, there.slice(0, _FEW)) is None:
            continue
        values = _read(name, there)
        if values is not None and not any(values.equals(other) for other in read):
            read.append(values)
            yield name


def _read(name: str, texts: pa.Array) -> pa.Array | None:
    form = time_form(name)
    assert form is not None
    values, misfits = read_form(texts, form, UTC_ZONE)
    return None if misfits else values


def are_compact_days(texts: pa.Array) -> bool:
    """Whether all texts are like 20240131."""
    there = texts.drop_null().unique()
    if not len(there) or not pc.all(pc.match_substring_regex(there, "^(19|20)[0-9]{6}$")).as_py():
        return False
    return _read(f"date {_COMPACT}", there) is not None


def _candidates(text: str) -> Iterator[str]:
    """The forms that may read a text, by its signs."""
    if not text.isascii() or not any(letter.isdigit() for letter in text):
        return
    clock = _CLOCK.search(text)
    days = list(_days(text[: clock.start()] if clock else text, is_alone=clock is None))
    if clock is None:
        yield from (f"date {day}" for day in days)
        return
    offset = _OFFSET.search(text, clock.end())
    zone = f"{offset[1]}%z" if offset else ""
    # Python would read 0506 as 05:00:06 too.
    clocks = (
        [_DIGITS_OF[len(digits[1])]] if (digits := _COMPACT_CLOCK.match(text, clock.start())) else _CLOCKS
    )
    for day in days:
        yield from (f"time {day}{clock[0][0]}{time}{zone}" for time in clocks)


def _days(text: str, *, is_alone: bool) -> Sequence[str]:
    if text.isdigit():
        return [] if is_alone else [_COMPACT]  # alone it is a number
    if any(letter.isalpha() for letter in text):
        sign = _SIGN.match(text)
        between = sign[1] if sign else " "
        return list(dict.fromkeys(form.replace("/", between) for form in _NAMED))
    sign = _SIGN.match(text)
    return [form.replace("/", sign[1]) for form in _NUMERIC] if sign else []


def _as_told(times: Times, told: set[str]) -> Times:
    """The forms whose days are written as another column surely writes its own."""
    agreeing = tuple(form for form in times.forms if form.partition(" ")[2][:8] in told)
    return replace(times, forms=agreeing) if len(agreeing) == 1 else times
