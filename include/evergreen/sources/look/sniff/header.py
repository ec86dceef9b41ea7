"""Whether the first line of a table names its columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evergreen.errors import SourceError
from evergreen.rows.names import check_names
from evergreen.shown import shown
from evergreen.sources.look.sniff.cells import Kind, kind_of

_NEARLY = 0.9
_LONGEST = 63  # characters, as a description may write them
_YEAR = re.compile(r"(19|20)\d\d")
_TYPED: tuple[Kind, ...] = ("number", "time", "truth")


@dataclass(frozen=True)
class Header:
    """Whether there is a header, and the names of columns; `mended` says why they are not the header's."""

    is_there: bool
    names: tuple[str, ...]
    mended: str = ""
    doubt: str = ""


def sniff_header(first: Sequence[str], below: Sequence[Sequence[str]]) -> Header:
    """Judge the first record of a table by the records below it.

    Text above numbers is a name, a number above numbers is a value. Where no column tells, the first line is
    taken for a header, which is said.
    """
    kinds = [_common_kind(column) for column in zip(*below, strict=True)] if below else ["empty"] * len(first)
    top = [kind_of(text) for text in first]
    pairs = list(zip(first, top, kinds, strict=True))
    names = sum(above == "text" and kind in _TYPED for _, above, kind in pairs)
    values = [text for text, above, kind in pairs if above == kind and kind in _TYPED]
    years = all(_YEAR.fullmatch(text) for text in values)
    if names:
        doubt = f"header: '{values[0]}' in the first line looks like a value" if values and not years else ""
        return _header(first, doubt)
    if values and not years:
        return _without(len(first))
    if values:
        return _header(first, f"header: years like '{values[0]}' are taken for names of columns")
    if not all(text.strip() for text in first) or len(set(first)) < len(first):
        return _without(
            len(first), "header: the first line has empty or equal fields, so it is read as values"
        )
    if not below and any(kind in _TYPED for kind in top):
        return _without(len(first), "header: the only line is read as values")
    said = "all columns are text" if below else "it is the only line"
    return _header(first, f"header: the first line is supposed to name the columns, but {said}")


def _common_kind(column: Sequence[str]) -> Kind:
    """The kind of nearly all values below the first line."""
    kinds: list[Kind] = [kind for kind in map(kind_of, column) if kind != "empty"]
    if not kinds:
        return "empty"
    counts: Counter[Kind] = Counter(kinds)
    most = max(_TYPED, key=counts.__getitem__)
    return most if counts[most] >= _NEARLY * len(kinds) else "text"


def _header(first: Sequence[str], doubt: str) -> Header:
    names = tuple(first)
    try:
        check_names(names)
    except SourceError as error:
        said = f"{error}".partition(":")[0]
        return Header(True, _mended(names), f"the header's names cannot be kept ({said})", doubt)
    if long := next((name for name in names if len(name) > _LONGEST), None):
        return Header(True, _mended(names), f"the name '{shown(long)}' is longer than {_LONGEST}", doubt)
    return Header(True, names, "", doubt)


def _without(width: int, doubt: str = "") -> Header:
    return Header(False, tuple(f"column_{number}" for number in range(1, width + 1)), "", doubt)


def _mended(names: Sequence[str]) -> tuple[str, ...]:
    """Names that the lake can carry, as near to these as can be."""
    found: list[str] = []
    taken = {"partition"}
    for number, name in enumerate(names, 1):
        base = "".join(letter for letter in name if letter.isprintable()).strip() or f"column_{number}"
        base = base[:_LONGEST]
        mended, count = base, 1
        while mended.lower() in taken:
            count += 1
            mended = f"{base[: _LONGEST - 4]}_{count}"
        taken.add(mended.lower())
        found.append(mended)
    return tuple(found)
