"""Shifts: changes that a drill makes to raw rows from a partition on, like `temperature=+0.5sd`.

Pure, vectorised, and seeded where rows are drawn. Rows before the partition, the number of rows and their
order never change. Mean, standard deviation and classes are those of the history before the partition, so a
shift does not depend on the length of the range. Rows are drawn in the order of partitions, so a longer range
draws the same ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from evergreen.errors import SpecError
from evergreen.lake import PARTITION
from evergreen.spec import Spec, Task

FORMS = {
    "+0.5sd": "the mean moves, by standard deviations of the history before",
    "-3": "the mean moves, by this much in the column's unit",
    "x1.5": "the spread around the mean of the history before is multiplied",
    "*1.8+32": "another unit: every value is multiplied, then added to",
    "creep +0.5sd per 30 partitions": "the mean keeps moving, by this much every 30 partitions",
    "missing 5%": "this share of the rows lose their value",
    "new 2%": "this share of the rows get a category never seen before",
    "flip 10%": "this share of the rows get the label of another class",
}
"""Every form of a change, by an example, and what it does."""

NEW_CATEGORY = "(new)"

_OF_NUMBERS = ("+0.5sd", "-3", "x1.5", "*1.8+32", "creep +0.5sd per 30 partitions")
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,12})?"
_AMOUNT = rf"([+-]{_NUMBER})(sd)?"

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Given:
    """What a change may look at beside the values (n,) it changes.

    The column's values `before`, a seeded `draw`, and `steps` (n,): 1 in the first shifted partition, 2 in
    the one after it.
    """

    before: pd.Series
    draw: np.random.Generator
    steps: NDArray[np.int64]


@dataclass(frozen=True)
class Shift:
    """A change of one raw column, `text` as it was written.

    `needs` is what the column must hold: `numbers`, `text`, `labels`, or `values` of any kind. `change`
    returns the changed values (n,), and raises `ValueError` with the reason and the remedy.
    """

    column: str
    text: str
    needs: str = field(repr=False)
    change: Callable[[pd.Series, Given], pd.Series] = field(repr=False, compare=False)

    def __str__(self) -> str:
        return self.text


def parse_shift(text: str) -> Shift:
    """The shift of `COLUMN=CHANGE`, the change in one of the forms of `FORMS`.

    Raises `SpecError` that says what is allowed.
    """
    column, _, written = (part.strip() for part in text.rpartition("="))
    words = " ".join(written.split())
    for pattern, (needs, make) in _CHANGES.items():
        match = re.fullmatch(pattern, words)
        if match and column:
            try:
                return Shift(column, f"{column}={words}", needs, make(*match.groups()))
            except ValueError as error:
                raise SpecError(f"shift '{text}': {error}") from None
    raise SpecError(f"shift '{text}': write COLUMN=CHANGE, the change like one of: {', '.join(FORMS)}")


def apply_shifts(
    spec: Spec, rows: pd.DataFrame, shifts: Sequence[Shift], at: str, seed: int = 0
) -> pd.DataFrame:
    """The rows (n, with `partition`) with the shifts made from partition `at` on, one after another.

    Rows before `at`, columns not named, index and order stay as they are; the frame given is not changed.
    Whole numbers stay whole: after a change by a fraction each is rounded up or down at random, which
    preserves the mean. If values go missing, integers become float64 and booleans object, as Arrow converts
    columns with nulls; other types stay. Raises `SpecError` for an unknown column, a key or time column, or a
    column that does not hold what the change needs.
    """
    for shift in shifts:
        if reason := _refusal(spec, rows, shift):
            raise SpecError(f"{spec.name}: shift '{shift}': {reason}")
    keys = rows[PARTITION].to_numpy(dtype=str)
    order = np.argsort(keys, kind="stable")
    first = int(np.searchsorted(keys[order], at))
    steps, back = _steps(spec, keys[order[first:]], at), np.argsort(order)
    shifted = rows.copy(deep=False)
    for number, shift in enumerate(shifts):
        values = shifted[shift.column].iloc[order]
        before = values.iloc[:first]
        try:
            changed = shift.change(
                values.iloc[first:], Given(before, np.random.default_rng([seed, number]), steps)
            )
        except ValueError as error:
            raise SpecError(f"{spec.name}: shift '{shift}': {error}") from None
        shifted[shift.column] = pd.concat([before, changed]).iloc[back].array
    return shifted


def _refusal(spec: Spec, rows: pd.DataFrame, shift: Shift) -> str | None:
    """Why the shift cannot be made to these rows, ending in the remedy; None if it can."""
    column = shift.column
    fixed = {PARTITION, *spec.keys, *([spec.time_column] if spec.time_column else [])}
    free = ", ".join(str(name) for name in rows.columns if name not in fixed)
    if column not in rows.columns:
        return f"the rows have no column '{column}': name one of {free}"
    if column in fixed:
        return f"'{column}' is a key or the time of a row: name one of {free}"
    labels = column == spec.target and spec.task is Task.CLASSIFICATION
    if shift.needs == "labels" and column == spec.target and not labels:
        return f"the target of a {spec.task} has no classes to flip: scale it, like '{column}=*1.5'"
    kind = _kind(rows[column])
    if shift.needs in ("values", kind) or (shift.needs == "labels" and labels):
        return None
    fitting = {"numbers": _OF_NUMBERS, "text": ("new 2%",)}.get(kind, ())
    allowed = ", ".join((*fitting, *(("flip 10%",) if labels else ()), "missing 5%"))
    return f"'{column}' holds {kind}, and this is a change for {shift.needs}: write one of {allowed}"


def _kind(values: pd.Series) -> str:
    """What a column holds, in a word."""
    if types.is_bool_dtype(values.dtype):
        return "booleans"
    if types.is_numeric_dtype(values.dtype):
        return "numbers"
    if types.is_datetime64_any_dtype(values.dtype):
        return "times"
    found = types.infer_dtype(values, skipna=True)
    return {"string": "text", "boolean": "booleans", "empty": "nothing"}.get(found, "other values")


def _steps(spec: Spec, keys: NDArray[np.str_], at: str) -> NDArray[np.int64]:
    """For each key the number of partitions from `at` to it, both counted, (n,)."""
    if not len(keys):
        return np.empty(0, dtype=np.int64)
    found, position = np.unique(keys, return_inverse=True)
    number = {key: n for n, key in enumerate(spec.calendar.between(at, str(found[-1])), 1)}
    return np.array([number[str(key)] for key in found], dtype=np.int64)[position]


def _numbers(change: Callable[[Numbers, Given], Numbers], values: pd.Series, given: Given) -> pd.Series:
    """The values changed as numbers, NaN where they are missing, in their original type."""
    changed = change(values.to_numpy(float, na_value=np.nan), given)
    if types.is_integer_dtype(values.dtype):
        changed = np.floor(changed + given.draw.random(len(changed)))
        limits = np.iinfo(getattr(values.dtype, "numpy_dtype", values.dtype))
        if ((changed < limits.min) | (changed >= limits.max)).any():
            raise ValueError(f"the result exceeds what {values.dtype} can hold: write a smaller change")
    return pd.Series(changed, index=values.index).astype(values.dtype)


def _move(amount: str, sd: str | None, per: str = "") -> Callable[[pd.Series, Given], pd.Series]:
    if per and not int(per):
        raise ValueError("write at least 1 partition, like 'creep +0.5sd per 30 partitions'")

    def moved(values: Numbers, given: Given) -> Numbers:
        distance = float(amount) * (_deviation(given.before) if sd else 1.0)
        return values + distance * (given.steps / int(per) if per else 1.0)

    return partial(_numbers, moved)


def _widen(factor: str) -> Callable[[pd.Series, Given], pd.Series]:
    def widened(values: Numbers, given: Given) -> Numbers:
        mean = _finite(given.before).mean()
        return np.asarray(mean + float(factor) * (values - mean))

    return partial(_numbers, widened)


def _convert(factor: str, offset: str | None) -> Callable[[pd.Series, Given], pd.Series]:
    return partial(_numbers, lambda values, given: values * float(factor) + float(offset or 0))


def _share(change: Callable[[float, pd.Series, Given], pd.Series], percent: str) -> Callable[..., pd.Series]:
    if float(percent) > 100:
        raise ValueError(f"{percent}% is more than all rows: write a share from 0% to 100%")
    return partial(change, float(percent) / 100)


def _lose(share: float, values: pd.Series, given: Given) -> pd.Series:
    lost = given.draw.random(len(values)) < share
    if values.dtype == np.bool_:
        values = values.astype(object)
    elif isinstance(values.dtype, np.dtype) and types.is_integer_dtype(values.dtype):
        values = values.astype(np.float64)
    return values.mask(lost, None) if values.dtype == object else values.mask(lost)


def _invent(share: float, values: pd.Series, given: Given) -> pd.Series:
    there, name = {*values.unique(), *given.before.unique()}, NEW_CATEGORY
    while name in there:
        name = f"({name})"
    return values.mask(given.draw.random(len(values)) < share, name)


def _flip(share: float, values: pd.Series, given: Given) -> pd.Series:
    classes = pd.Index(given.before.dropna().unique())
    if len(classes) < 2:
        raise ValueError(
            f"the history before has {len(classes)} classes, none to flip to: choose a later --at"
        )
    # Two random numbers a row, side by side, so that more rows do not change the draws of earlier ones.
    draw = given.draw.random((len(values), 2))
    flipped = (draw[:, 0] < share) & values.notna().to_numpy()
    on = 1 + (draw[:, 1] * (len(classes) - 1)).astype(np.intp)
    others = classes.take((classes.get_indexer(pd.Index(values)) + on) % len(classes))
    return values.mask(flipped, pd.Series(others, index=values.index))


def _finite(values: pd.Series) -> Numbers:
    numbers = values.to_numpy(float, na_value=np.nan)
    numbers = np.asarray(numbers[np.isfinite(numbers)])
    if not len(numbers):
        raise ValueError("the column has no values in the history before: choose a later --at")
    return numbers


def _deviation(values: pd.Series) -> float:
    deviation = float(_finite(values).std())
    if math.isclose(deviation, 0, abs_tol=1e-12):
        raise ValueError(
            "the column does not vary in the history before: write the change in its unit, like '+3'"
        )
    return deviation


_CHANGES: dict[str, tuple[str, Callable[..., Callable[[pd.Series, Given], pd.Series]]]] = {
    _AMOUNT: ("numbers", _move),
    rf"creep {_AMOUNT} per ([0-9]{{1,6}}) partitions?": ("numbers", _move),
    rf"x({_NUMBER})": ("numbers", _widen),
    rf"\*(-?{_NUMBER})([+-]{_NUMBER})?": ("numbers", _convert),
    rf"missing ({_NUMBER}) ?%": ("values", partial(_share, _lose)),
    rf"new ({_NUMBER}) ?%": ("text", partial(_share, _invent)),
    rf"flip ({_NUMBER}) ?%": ("labels", partial(_share, _flip)),
}
