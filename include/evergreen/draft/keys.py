"""Which columns name a row. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import pyarrow as pa

from evergreen.draft.columns import ID_WORDS, Columns
from evergreen.shown import shown
from evergreen.sources.look.profile import counts_rows, may_be_key
from evergreen.validation.codes import is_named_like_codes, words_of

_MOST_TOGETHER = 3  # columns of a key
_FEW = 0.1  # rows that a column does not name, which nearly is a key
_MOST_TRIED = 8  # columns that are tried together


@dataclass(frozen=True)
class Key:
    """The columns that name a row, why, and other columns that do."""

    columns: tuple[str, ...]
    why: str
    others: tuple[tuple[str, ...], ...] = ()
    is_measured: bool = False
    """Whether a number is part of it that may have been measured, and differs by chance."""


def key_of(columns: Columns, time: str | None, targets: Collection[str]) -> Key | None:
    """The key of the rows; None if no column, and no two or three together, can name a row.

    A column alone before several, one that is named like an id before others. Columns together must each name
    something: a time, a thing by its id or code, or a kind in words; numbers that were measured differ too,
    but by chance. A target names nothing.
    """
    fit = [
        name
        for name, one in columns.found.items()
        if name not in targets and not one.nulls and one.distinct > 1 and may_be_key(columns.values(name))
    ]
    alone = sorted((_rank(columns, name, time), name) for name in fit if columns.is_unique(name))
    alone = [(rank, name) for rank, name in alone if rank is not None]
    several = list(islice(_together(columns, _things(columns, fit, time)), 3))
    if alone and (alone[0][0] < _MEASURED or not several):
        others = tuple((name,) for _, name in alone[1:3])
        measured = alone[0][0] == _MEASURED
        return Key((alone[0][1],), "present in all rows, and different in each", others, measured)
    if several:
        measured = any(_rank(columns, name, time) == _MEASURED for name in several[0])
        return Key(several[0], "no column alone names a row; together they do", tuple(several[1:]), measured)
    return None


def nearly_a_key(columns: Columns, time: str | None) -> str:
    """In a clause, what names nearly all rows, an id or a text or two columns, and how many it does not.

    Empty if nothing does.
    """
    few = int(_FEW * columns.count)
    fit = [
        name
        for name, one in columns.found.items()
        if name != time and one.nulls <= few and one.distinct > 1 and may_be_key(columns.values(name))
    ]
    for name in fit:
        rest = columns.count - columns.found[name].distinct
        if rest <= few and _rank(columns, name, time) != _MEASURED:
            return f" ('{shown(name)}' nearly is: {rest:,} rows repeat a value or lack one)"
    for names in combinations(_things(columns, fit, time), 2):
        rows = columns.rows.select(names).drop_null()
        if len(rows) >= columns.count - few and _differ(rows):
            first, second = map(shown, names)
            lacking = f"{columns.count - len(rows):,} rows lack one"
            return f" ('{first}' and '{second}' nearly are: {lacking})"
    return ""


_MEASURED = 4


def _rank(columns: Columns, name: str, time: str | None) -> int:
    """How little a unique column looks like a name of rows."""
    words = words_of(name)
    if (words and words[-1] in ID_WORDS) or is_named_like_codes(name):
        return 0
    if counts_rows(columns.values(name)):
        return 1
    if name == time:
        return 2
    return 3 if columns.is_text(name) else _MEASURED


def _things(columns: Columns, fit: Sequence[str], time: str | None) -> list[str]:
    """Columns that may be a part of a key: the event time first, then ids and codes, texts, other numbers.

    Numbers are only tried beside the event time, which is what tells that something is counted again.
    """

    def rank(name: str) -> int:
        words = words_of(name)
        if name == time:
            return 0
        if is_named_like_codes(name) or (words and words[-1] in ID_WORDS):
            return 1
        return 2 if columns.is_text(name) else 3

    ranked = sorted(fit, key=rank)
    return [name for name in ranked if time or rank(name) < 3][:_MOST_TRIED]


def _together(columns: Columns, things: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The smallest sets of two or three that are different in all rows, in the order of the rows' columns."""
    order = columns.rows.schema.names
    for size in range(2, _MOST_TOGETHER + 1):
        found = False
        for names in combinations(things, size):
            possible = 1
            for name in names:
                possible *= columns.found[name].distinct
            if possible < columns.count:
                continue
            if _differ(columns.rows.select(names)):
                found = True
                yield tuple(sorted(names, key=order.index))
        if found:
            return


def _differ(rows: pa.Table) -> bool:
    """Whether no two rows are the same."""
    return bool(rows.group_by(rows.schema.names).aggregate([]).num_rows == len(rows))
