"""Which columns hold codes - vendors, zones, flags - rather than quantities, told by names and values.

A code has no size: a range or a mean of it says nothing, the set of its values does.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.rows.texts import are_codes

MOST = 500
"""Different codes that a set may have."""

TIMES = 5
"""How often a value comes on average in a column of codes that make a set."""

_SPARSE = 4  # a range has so many times more whole numbers than the codes in it
_FLAG = 2  # so many different whole numbers are a flag, whatever their name
_WORDS = re.compile("[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_SAYS_CODE = {"id", "ids", "code", "codes", "type", "kind", "category", "class", "flag", "nbr", "sku", "zip"}
_NAMED = (
    *("airport", "borough", "carrier", "city", "country", "district", "location", "postcode", "product"),
    *("ratecode", "region", "route", "season", "shop", "state", "station", "store", "vendor", "weekday"),
    *("zipcode", "zone"),
)


@dataclass(frozen=True)
class Codes:
    """A column's codes, sorted, or None if they are too many for a set; `grow` if new ones came lately."""

    values: list[Any] | None
    grow: bool = False


def words_of(name: str) -> list[str]:
    """The words that a column's name is made of, in small letters: `pickup`, `zone` of `pickupZone`."""
    return [word.lower() for word in _WORDS.findall(name)]


def is_named_like_codes(name: str) -> bool:
    """Whether the last word of a column's name is one of codes: `VendorID`, `pickup_zone`, `payment_type`."""
    words = words_of(name)
    return bool(words) and (words[-1] in _SAYS_CODE or words[-1].startswith(_NAMED))


def codes_of(values: pa.ChunkedArray, name: str) -> Codes | None:
    """The codes that a column of whole numbers or text holds, in the order of its rows; None for quantities.

    Numbers are codes if all are whole, and either their name says so, or they are just two, or they are few
    and scattered: each comes often, and there is no common step between them. Text is codes if its name says
    so, or if it is digits that no number keeps, such as 01234.
    """
    values = values.drop_null()
    if pa.types.is_floating(values.type):
        values = values.filter(pc.is_finite(values))
    if not len(values):
        return None
    is_text = not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type))
    distinct = pc.unique(values)
    if pa.types.is_floating(values.type) and not pc.all(pc.equal(distinct, pc.trunc(distinct))).as_py():
        return None
    found = sorted(distinct.to_pylist() if is_text else map(int, distinct.to_pylist()))
    often = len(found) <= MOST and len(found) * TIMES <= len(values)
    named = is_named_like_codes(name) or (is_text and are_codes(values.cast(pa.string())))
    if not named and (is_text or not often or not (len(found) == _FLAG or _scattered(found))):
        return None
    half = pc.unique(values.slice(0, len(values) // 2))
    return Codes(found if often else None, grow=len(half) < len(found))


def _scattered(found: list[int]) -> bool:
    if found[-1] - found[0] < _SPARSE * len(found):
        return False
    return math.gcd(*(after - before for before, after in pairwise(found))) == 1
