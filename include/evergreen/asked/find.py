"""Finds out which rows must be sent together for a prediction to be that of the night. Pure.

Features are built from parts of published partitions, each with its look-back, and held against those of the
whole partition, bit for bit. A part is a single row, a group of rows, or half of them in several divisions:
halves compare every row, single ones see the least of the others. The smallest part that never differs is
what may be asked for. What cannot be tried, or raises, needs the whole partition.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from evergreen.asked.finding import Asked, Difference, Together
from evergreen.asked.parts import Mask, Places, Whole, widened
from evergreen.features.columns import columns_given
from evergreen.features.functions import places
from evergreen.lake import PARTITION
from evergreen.spec import Spec

_PARTITIONS, _RARE = 8, 4  # tried, and those besides that hold a rare value
_APART = 5  # partitions: no divisor of the hours of a day, the days of a week or the months of a year
_ALONE = 24  # parts of the newest partition that are tried without all others
_SPREAD = 8  # those of them that only lie far apart
_DIVISIONS = 3  # into halves, each of the newest partition and one of every other
_COLUMNS = 12  # besides keys and time, that may name a group
_GROUPS = 24  # combinations of columns that are tried
_WINDOWS = 8  # the training windows that are read again for all that is tried
_LEAST = 2_000_000  # rows that are read in any case
_ODD = 0x9E3779B1  # Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4)


@dataclass(frozen=True)
class _Tried:
    """The partitions that are tried, the newest first; only this one stays in memory."""

    spec: Spec
    rows: pd.DataFrame
    keys: Sequence[str]
    wider: tuple[str, ...]
    newest: Whole

    @classmethod
    def of(cls, spec: Spec, rows: pd.DataFrame, as_of: str) -> _Tried:
        keys, wider = _partitions(spec, rows, as_of), widened(rows)
        return cls(spec, rows, keys, wider, Whole.of(spec, rows, keys[0], wider))

    def wholes(self) -> Iterator[Whole]:
        yield self.newest
        for key in self.keys[1:]:
            yield Whole.of(self.spec, self.rows, key, self.wider)

    @property
    def most_read(self) -> int:
        """How many rows functions are given at most where partitions are divided in one way."""
        builds = _ALONE + 2 * _DIVISIONS + 3 * (len(self.keys) - 1)
        return builds * len(self.newest.seen)


@dataclass
class _Trial:
    """Partitions that are built from their parts: rows, or groups of rows by columns.

    `builds` counts them, and `read` the rows that functions were given.
    """

    tried: _Tried
    by: tuple[str, ...]
    builds: int = 0
    read: int = 0

    def difference(self) -> Difference | None:
        """The first difference between a part and its partition."""
        for turn, whole in enumerate(self.tried.wholes()):
            for sent, chosen in _parts(whole, self.by, turn):
                self.builds += 1
                self.read += len(whole.seen) - len(whole.own) + len(chosen)
                if found := whole.difference(chosen, sent):
                    return found
        return None


def find_asked(spec: Spec, rows: pd.DataFrame, as_of: str) -> Asked:
    """The fewest rows that give the features of the whole partition, found from the rows before `as_of`.

    `rows` are raw rows of a training's window and its look-back, with lookups joined, as `read_window` gives
    them. Tried are the newest partition, some that lie apart before it, and some with rare values. The same
    rows give the same finding.
    """
    if not places(spec):
        return Asked(Together.ROW, why="its features are columns of the row itself")
    if spec.features.columns:
        rows = rows[columns_given(spec, rows.columns)]
    budget, tried = max(_LEAST, _WINDOWS * len(rows)), _Tried.of(spec, rows, as_of)
    if tried.most_read > budget:
        tried = replace(tried, keys=tried.keys[:1])
    if tried.most_read > budget:
        why = (
            f"a partition and its look-back have {len(tried.newest.seen):,} rows, too many to try parts of it"
        )
        return Asked(Together.PARTITION, why=why)
    return _found(tried, budget)


def _found(tried: _Tried, budget: int) -> Asked:
    keys = tuple(tried.keys)
    if differs := tried.newest.difference(np.arange(len(tried.newest.own)), "all rows"):
        return Asked(Together.PARTITION, (), keys, 1, differs)
    first: Difference | None = None
    builds = 0
    for by in _ways(tried.newest):
        if budget < tried.most_read:
            break
        trial = _Trial(tried, by)
        differs = trial.difference()
        builds += trial.builds
        budget -= trial.read
        if differs is None:
            return Asked(Together.GROUP if by else Together.ROW, by, keys, builds, first)
        first = first or differs
    why = "" if first else "the newest partition has no rows to try apart"
    return Asked(Together.PARTITION, (), keys, builds, first, why)


def _ways(whole: Whole) -> Iterator[tuple[str, ...]]:
    """The ways to divide a partition: first into rows, then into groups by columns, the smallest first."""
    if len(whole.own) < 2:
        return
    yield ()
    sizes = {by: len(whole.own) / _count(_numbers(whole.rows, by)) for by in _columns(whole)}
    groups = [by for by, size in sizes.items() if 1 < size < len(whole.own)]
    yield from sorted(groups, key=sizes.__getitem__)[:_GROUPS]


def _columns(whole: Whole) -> list[tuple[str, ...]]:
    """The columns that may name a group: keys, time, pairs of them, and columns of categories."""
    spec, rows = whole.spec, whole.rows
    named = dict.fromkeys([*spec.keys, *([spec.time_column] if spec.time_column else [])])
    left_out = {*named, *spec.targets, spec.training.weight, PARTITION}
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


def _parts(whole: Whole, by: tuple[str, ...], turn: int) -> Iterator[tuple[str, Places]]:
    """The parts of a partition that are built, in words and by places; the fewest rows first.

    Of the newest (`turn` 0) these are single rows or groups and all halves, of every other two halves.
    """
    numbers = _numbers(whole.rows, by) if by else np.arange(len(whole.own))
    count = _count(numbers)
    if count < 2:
        return
    divisions = [*_halves(count)]
    if turn:
        divisions = [divisions[turn % _DIVISIONS]]
    else:
        telling = dict.fromkeys(numbers[place] for place in _telling(whole.rows))
        sent = f"rows with the same {' and '.join(by)}" if by else "a single row"
        for number in [*telling][:_ALONE]:
            yield sent, np.flatnonzero(numbers == number)
    for first in divisions:
        inside = first[numbers]
        for half in (inside, ~inside):
            if half.any():
                yield f"half of the {'groups' if by else 'rows'}", np.flatnonzero(half)


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


def _partitions(spec: Spec, rows: pd.DataFrame, as_of: str) -> list[str]:
    """The newest partition, some that lie apart, and some with rare values; all with a whole look-back."""
    keys = sorted(rows[PARTITION].unique(), reverse=True)
    if not spec.calendar.has_time:
        return keys
    keys = [key for key in keys if key < as_of]
    reached = [key for key in keys if spec.looks_back_to(key) >= keys[-1]] or keys[:1]
    apart = sorted(range(len(reached)), key=lambda back: (back % _APART, back))[:_PARTITIONS]
    rare = [key for key in _with_rare_values(rows, as_of) if key in reached]
    return list(dict.fromkeys([*(reached[back] for back in apart), *rare[:_RARE]]))


def _with_rare_values(rows: pd.DataFrame, as_of: str) -> Iterator[str]:
    """For each column of categories the newest partition that has the rarest of them, such as a holiday."""
    before = rows[PARTITION] < as_of
    for name in [name for name in rows if name != PARTITION and _is_category(rows[name])][:_COLUMNS]:
        values = rows[name][before]
        counts = values.value_counts()
        if 1 < len(counts) < len(values) / 2:
            yield str(rows.loc[values.index[values == counts.index[-1]], PARTITION].max())


def _count(numbers: Places) -> int:
    return int(numbers.max(initial=-1)) + 1
