"""Which columns are no features: ids, what tells the target, what is known only later. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evergreen.draft.columns import ID_WORDS, Columns
from evergreen.draft.target import Target
from evergreen.draft.times import Times
from evergreen.shown import shown
from evergreen.task import Task
from evergreen.validation.codes import words_of

_TEXTS = 0.5  # of the rows have a text of their own: names, addresses, remarks
_TOLD = 5  # rows on average of a value that tells the target, without which it would be chance
_SAME = 0.9999  # correlation of two columns of numbers that say the same
_FIRST = 200
_MOST_SUMMED = 40  # columns of numbers of which pairs are added up


def left_out(columns: Columns, key: Sequence[str], times: Times, target: Target) -> dict[str, str]:
    """The columns that should be no features, and why; key, event time and target never are."""
    own = {*key, times.column, target.column}
    features = [name for name in columns.found if name not in own]
    parts = _parts(columns, features, target)
    found = {}
    for name in features:
        if why := next(_reasons(columns, name, times, target, parts), None):
            found[name] = why
    return found


def _reasons(
    columns: Columns, name: str, times: Times, target: Target, parts: dict[str, str]
) -> Iterator[str]:
    values, one = columns.values(name), columns.found[name]
    if columns.is_constant(name):
        yield "the same in all rows" if one.distinct else "has no values"
    elif columns.is_list(name):
        yield "a list, which no candidate takes"
    if name == times.changed:
        yield "says when a row was changed, which is not known when it is scored"
    elif columns.is_time(name) and times.column and _is_later(values, columns.values(times.column)):
        yield f"lies after '{shown(times.column)}', so it is not known when a row is scored"
    if columns.is_text(name) and one.distinct > 20 and one.distinct > _TEXTS * (columns.count - one.nulls):
        yield "a text of its own in most rows"
    elif columns.is_unique(name) and (words := words_of(name)) and words[-1] in ID_WORDS:
        yield "a number of its own in each row"
    if name in parts:
        yield parts[name]
    elif _tells(columns, name, target):
        yield f"tells '{shown(target.column)}' without exception"


def _is_later(values: pa.ChunkedArray, event: pa.ChunkedArray) -> bool:
    kind = pa.timestamp("us")
    late = pc.greater(_naive(values).cast(kind), _naive(event).cast(kind))
    return 2 * (pc.sum(late).as_py() or 0) > len(values)


def _naive(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(pa.timestamp("us")) if pa.types.is_timestamp(values.type) else values


def _parts(columns: Columns, features: Sequence[str], target: Target) -> dict[str, str]:
    """Columns of numbers that are the target in another unit, or two that add or multiply to it."""
    if target.task is not Task.REGRESSION:
        return {}
    names = [name for name in features if columns.is_number(name) and not columns.is_constant(name)]
    wanted = _floats(columns, target.column)
    there = {name: _floats(columns, name) for name in names}
    of_target = f"'{shown(target.column)}'"
    found = {name: f"is {of_target} in another unit" for name in names if _is_same(there[name], wanted)}
    rest = [name for name in names if name not in found][:_MOST_SUMMED]
    for one, other in combinations(rest, 2):
        for sign, both in (("+", np.add), ("*", np.multiply)):
            if _is_close(both, there[one], there[other], wanted):
                said = f"{of_target} is '{shown(one)}' {sign} '{shown(other)}', so it is known no earlier"
                found.setdefault(one, said)
                found.setdefault(other, said)
    return found


def _floats(columns: Columns, name: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = columns.values(name).cast(pa.float64()).to_numpy()
    return found


def _is_same(values: NDArray[np.float64], wanted: NDArray[np.float64]) -> bool:
    there = np.isfinite(values) & np.isfinite(wanted)
    if there.sum() < 2 * _TOLD:
        return False
    one, other = values[there], wanted[there]
    if not one.std() or not other.std():
        return False
    return bool(abs(np.corrcoef(one, other)[0, 1]) > _SAME)


def _is_close(
    both: np.ufunc, one: NDArray[np.float64], other: NDArray[np.float64], wanted: NDArray[np.float64]
) -> bool:
    for rows in (slice(_FIRST), slice(None)):  # the first few tell almost always that they do not
        values, expected = both(one[rows], other[rows]), wanted[rows]
        there = np.isfinite(values) & np.isfinite(expected)
        if there.sum() < 2 * _TOLD or not np.allclose(values[there], expected[there], rtol=1e-9, atol=1e-9):
            return False
    return True


def _tells(columns: Columns, name: str, target: Target) -> bool:
    """Whether each value of a column goes with one class, and comes often enough for that to be no chance."""
    if target.task is not Task.CLASSIFICATION:
        return False
    distinct = columns.found[name].distinct
    if distinct < len(target.classes) or _TOLD * distinct > columns.count:
        return False
    pairs = columns.rows.select([name, target.column]).drop_null()
    if not pairs.num_rows:
        return False
    together: pa.Table = pairs.group_by([name, target.column]).aggregate([])
    return bool(together.num_rows == pc.count_distinct(pairs.column(name)).as_py())
