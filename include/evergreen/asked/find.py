"""Finds out which rows must be sent together for a prediction to be that of the night. Pure.

Features are built from parts of published partitions, each with its look-back, and held against those of the
whole partition, bit for bit. A part is a single row, a group of rows, or half of them in several divisions:
halves compare every row, single ones see the least of the others. The smallest part that never differs is
what may be asked for. What cannot be tried, or raises, needs the whole partition.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from evergreen.asked.finding import Asked, Difference, Together
from evergreen.asked.parts import Mask, Places, Whole
from evergreen.features.functions import places
from evergreen.lake import PARTITION
from evergreen.spec import Spec

_PARTITIONS = 3
_ALONE, _ALONE_EARLIER = 24, 4  # parts of a partition that are tried without all others
_SPREAD = 8  # those of them that only lie far apart
_DIVISIONS = 3  # into halves
_COLUMNS = 12  # besides keys and time, that may name a group
_GROUPS = 24  # combinations of columns that are tried
_WINDOWS = 4  # the training windows that are read again for all that is tried
_LEAST = 2_000_000  # rows that are read in any case
_ODD = 0x9E3779B1  # Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4)


@dataclass(frozen=True)
class _Parts:
    """A way to divide partitions: the number of its part by row, of each partition, and rows in a part."""

    by: tuple[str, ...]
    numbers: tuple[Places, ...]

    @property
    def size(self) -> float:
        return sum(map(len, self.numbers)) / max(1, sum(map(_count, self.numbers)))

    @property
    def divides(self) -> bool:
        return any(_count(numbers) > 1 for numbers in self.numbers)

    @property
    def sent(self) -> str:
        return f"rows with the same {' and '.join(self.by)}" if self.by else "a single row"


@dataclass
class _Trial:
    """Partitions that are built from their parts; `read` counts the rows that were given to functions."""

    wholes: Sequence[Whole]
    parts: _Parts
    builds: int = 0
    read: int = 0

    def difference(self) -> Difference | None:
        """The first difference between a part and its partition."""
        for whole, numbers in zip(self.wholes, self.parts.numbers, strict=True):
            most = _ALONE if whole is self.wholes[0] else _ALONE_EARLIER
            for sent, chosen in _tried(whole, self.parts, numbers, most):
                self.builds += 1
                self.read += len(whole.seen) - len(whole.own) + len(chosen)
                if found := whole.difference(chosen, sent):
                    return found
        return None


def find_asked(spec: Spec, rows: pd.DataFrame, as_of: str) -> Asked:
    """The fewest rows that give the features of the whole partition, found from the rows before `as_of`.

    `rows` are raw rows of a training's window and its look-back, with lookups joined, as `read_window` gives
    them. Tried are the newest partition and two that lie far before it. The same rows give the same finding.
    """
    if not places(spec):
        return Asked(Together.ROW, why="its features are columns of the row itself")
    seen = rows[rows[PARTITION] < as_of] if spec.calendar.has_time else rows
    budget = max(_LEAST, _WINDOWS * len(seen))
    wholes = [Whole.of(spec, seen, key) for key in _partitions(spec, seen)]
    if _most_read(wholes) > budget:
        wholes = wholes[:1]
    if _most_read(wholes) > budget:
        why = f"a partition and its look-back have {len(wholes[0].seen):,} rows, too many to try parts of it"
        return Asked(Together.PARTITION, why=why)
    return _found(wholes, budget)


def _found(wholes: Sequence[Whole], budget: int) -> Asked:
    keys = tuple(whole.partition for whole in wholes)
    if differs := wholes[0].difference(np.arange(len(wholes[0].own)), "all rows"):
        return Asked(Together.PARTITION, (), keys, 1, differs)
    first: Difference | None = None
    builds = 0
    for parts in _ways(wholes):
        if budget < _most_read(wholes):
            break
        tried = _Trial(wholes, parts)
        differs = tried.difference()
        builds += tried.builds
        budget -= tried.read
        if differs is None:
            return Asked(Together.GROUP if parts.by else Together.ROW, parts.by, keys, builds, first)
        first = first or differs
    why = "" if first else "no partition of the window has rows to try apart"
    return Asked(Together.PARTITION, (), keys, builds, first, why)


def _ways(wholes: Sequence[Whole]) -> Iterator[_Parts]:
    """The ways to divide partitions, by the rows in a part: first single rows, then groups."""
    single = _Parts((), tuple(np.arange(len(whole.own)) for whole in wholes))
    if not single.divides:
        return
    yield single
    groups = [_Parts(by, tuple(_numbers(whole.rows, by) for whole in wholes)) for by in _columns(wholes[0])]
    known = [parts for parts in groups if parts.divides and parts.size > 1]
    yield from sorted(known, key=lambda parts: parts.size)[:_GROUPS]


def _columns(whole: Whole) -> list[tuple[str, ...]]:
    """The columns that may name a group: keys, time, pairs of them, and columns of categories."""
    spec, rows = whole.spec, whole.rows
    named = dict.fromkeys([*spec.keys, *([spec.time_column] if spec.time_column else [])])
    left_out = {*named, spec.target, spec.training.weight, PARTITION}
    others = [str(name) for name in rows if name not in left_out and _is_category(rows[name])][:_COLUMNS]
    return [*((name,) for name in named), *combinations(named, 2), *((name,) for name in others)]


def _is_category(values: pd.Series) -> bool:
    types = pd.api.types
    text = types.is_string_dtype(values) or isinstance(values.dtype, pd.CategoricalDtype)
    if types.is_object_dtype(values):
        return types.infer_dtype(values) in ("string", "boolean")
    return text or types.is_bool_dtype(values) or types.is_integer_dtype(values)


def _numbers(rows: pd.DataFrame, by: Sequence[str]) -> Places:
    """The number of each row's group, in the order in which they begin."""
    numbers: Places = np.zeros(len(rows), np.intp)
    for name in by:
        codes, found = pd.factorize(rows[name], use_na_sentinel=False)
        numbers = pd.factorize(numbers * max(1, len(found)) + codes)[0]
    return numbers


def _tried(whole: Whole, parts: _Parts, numbers: Places, most: int) -> Iterator[tuple[str, Places]]:
    """The parts of a partition that are built, in words and by places; single ones first."""
    count = _count(numbers)
    if count < 2:
        return
    telling = dict.fromkeys(numbers[place] for place in _telling(whole.rows))
    for number in [*telling][:most]:
        yield parts.sent, np.flatnonzero(numbers == number)
    for first in _halves(count):
        inside = first[numbers]
        for half in (inside, ~inside):
            if half.any():
                yield f"half of its {'groups' if parts.by else 'rows'}", np.flatnonzero(half)


def _halves(count: int) -> Iterator[Mask]:
    """Divisions of so many parts: the earlier from the later ones, every second, and scattered."""
    number = np.arange(count, dtype=np.uint64)
    yield number < count // 2
    yield number % 2 == 0
    yield (number * np.uint64(_ODD) >> np.uint64(16)) % 2 == 0


def _telling(rows: pd.DataFrame) -> Iterator[int]:
    """Places of rows that others bear on most likely: outer ones, and missing or extreme values."""
    yield from map(int, np.linspace(0, len(rows) - 1, _SPREAD).round())
    missing = [np.flatnonzero(rows[name].isna()) for name in rows]
    yield from (int(found[0]) for found in missing if 0 < len(found) < len(rows))
    for name in rows:
        if pd.api.types.is_numeric_dtype(rows[name]) and rows[name].notna().any():
            values = rows[name].to_numpy(float, na_value=np.nan)
            yield int(np.nanargmax(values))
            yield int(np.nanargmin(values))


def _partitions(spec: Spec, rows: pd.DataFrame) -> list[str]:
    """The newest partition, and those in the middle and at the start of those with a whole look-back."""
    keys = sorted(rows[PARTITION].unique())
    if not spec.calendar.has_time:
        return keys
    reached = [key for key in keys if spec.looks_back_to(key) >= keys[0]] or keys[-1:]
    at = np.linspace(len(reached) - 1, 0, _PARTITIONS).round().astype(int)
    return [reached[place] for place in dict.fromkeys(at)]


def _most_read(wholes: Sequence[Whole]) -> int:
    """How many rows one way of dividing reads at most."""
    return sum((_ALONE + _DIVISIONS * 2 + 1) * len(whole.seen) for whole in wholes)


def _count(numbers: Places) -> int:
    return int(numbers.max(initial=-1)) + 1
