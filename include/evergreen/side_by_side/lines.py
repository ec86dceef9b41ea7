"""The lines of a comparison: one thing that both versions have, or one of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evergreen.numbers import ABSENT, number

DIGEST = 12
"""How many digits of a digest are shown."""


@dataclass(frozen=True)
class Line:
    """A thing by its `name`, what it is in the first and in the second version, and whether it is the `same`.

    `change` says of numbers what the second adds to the first, and `better` whether that is better; None
    where it cannot be said.
    """

    name: str
    first: str
    second: str
    same: bool
    change: str = ""
    better: bool | None = None


@dataclass(frozen=True)
class Part:
    """The lines about one part of the versions; `note` says what must be known to read them."""

    name: str
    lines: tuple[Line, ...] = ()
    note: str = ""

    @property
    def differing(self) -> list[Line]:
        """The lines of what differs."""
        return [line for line in self.lines if not line.same]

    @property
    def equal(self) -> list[Line]:
        """The lines of what is the same."""
        return [line for line in self.lines if line.same]


def line(name: str, first: Any, second: Any) -> Line:
    """A line of two values as they are stored: None is what a version does not have."""
    return Line(name, text(first), text(second), first == second)


def lines(both: Sequence[Mapping[str, Any]], of: str = "") -> Iterator[Line]:
    """A line for each name that the first or the second has; `of` stands before the names."""
    first, second = both
    for name in dict.fromkeys((*first, *second)):
        yield line(f"{of}{name}", first.get(name), second.get(name))


def known(found: Iterable[Line]) -> tuple[Line, ...]:
    """The lines of what at least one of the versions has."""
    return tuple(one for one in found if (one.first, one.second) != (ABSENT, ABSENT))


def text(value: Any) -> str:
    """A stored value for people."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return number(value)
    return json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
