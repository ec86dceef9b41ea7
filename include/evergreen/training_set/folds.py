"""Folds of cross-validation that suit the pipeline: in the order of time where there is time. Pure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit

from evergreen.errors import NothingToDoError, RefusedError, SpecError
from evergreen.spec import Spec, Task

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Positions of the rows to fit on, and of those to score on."""


def folds_of(
    spec: Spec, partitions: pd.Series, target: pd.Series | None, groups: NDArray[np.intp] | None = None
) -> list[Fold]:
    """The folds of rows with these partitions (n,), this target (n,) and, where asked for, groups (n,).

    With time, folds are made of whole partitions: each is fit on partitions before those it is scored on, and
    those within the `tuning.gap` between are left out. For a snapshot they are shuffled with the seed,
    stratified by class for classification; rows of a group stay together. Clustering has no target to overfit
    to, so it has one fold that is fit and scored on all rows. Where there are too few partitions, groups,
    rows, or rows of a class, there are fewer; raises `NothingToDoError` if there are not even two.

    The only row of a class is always known and never scored. A fold of which all known rows are of one class
    is left out; raises `RefusedError` if no other is left.
    """
    rows = np.arange(len(partitions))
    if spec.task is Task.CLUSTERING:
        return [(rows, rows)]
    classes = target if spec.task is Task.CLASSIFICATION else None
    if spec.calendar.has_time:
        return _learnable(spec, _in_time(spec, partitions), classes)
    lone = rows[:0]
    if classes is not None:
        lone = np.flatnonzero(~classes.duplicated(keep=False))
        rows = np.setdiff1d(rows, lone)
    most = len(rows) if groups is None else len(np.unique(groups[rows]))
    kept = None if classes is None else classes.iloc[rows]
    if kept is not None:
        most = min(most, int(kept.value_counts().min()) if len(kept) else 0)
    split = _split(_count(spec, most), spec.training.seed, classes is not None, groups is not None)
    found = split.split(rows, kept, None if groups is None else groups[rows])
    folds = [(np.sort(np.append(rows[known], lone)), rows[unseen]) for known, unseen in found]
    return _learnable(spec, folds, classes)


def _learnable(spec: Spec, folds: list[Fold], classes: pd.Series | None) -> list[Fold]:
    """The folds whose known rows are of more than one class."""
    if classes is None:
        return folds
    found = [(known, unseen) for known, unseen in folds if classes.iloc[known].nunique() > 1]
    if not found:
        raise RefusedError(
            f"{spec.name}: candidates cannot be compared: in each fold of cross-validation all rows to train "
            f"on are of one class of {classes.nunique()}: give more rows of the others, or describe a single "
            "candidate without a search"
        )
    return found


def last_fold(
    spec: Spec, partitions: pd.Series, target: pd.Series | None, groups: NDArray[np.intp] | None = None
) -> Fold | None:
    """The last of the folds, which early stopping measures on; None where there is too little for any.

    With time these are the newest partitions, and the newest alone if there are too few for folds.
    """
    try:
        return folds_of(spec, partitions, target, groups)[-1]
    except (NothingToDoError, RefusedError):
        newest = (partitions == partitions.max()).to_numpy()
        if not spec.calendar.has_time or newest.all():
            return None
        return np.flatnonzero(~newest), np.flatnonzero(newest)


def groups_of(spec: Spec, rows: pd.DataFrame) -> NDArray[np.intp] | None:
    """A number (n,) for each row's value of `tuning.group`; None where it is not asked for.

    Rows without a value are one group. Raises `SpecError` if the rows have no such column.
    """
    values = group_values(spec, rows)
    if values is None:
        return None
    codes, _ = pd.factorize(values, sort=True)
    return np.asarray(codes, dtype=np.intp)


def group_values(spec: Spec, rows: pd.DataFrame) -> pd.Series | None:
    """The rows' values (n,) of `tuning.group`; None where it is not asked for.

    Raises `SpecError` if the rows have no such column.
    """
    column = spec.training.tuning.group
    if column is None:
        return None
    if column not in rows.columns:
        raise SpecError(
            f"{spec.name}: training.tuning.group: the rows have no column '{column}'; "
            f"there: {', '.join(map(str, rows.columns))}"
        )
    return rows[column]


def _split(
    count: int, seed: int, stratified: bool, grouped: bool
) -> KFold | StratifiedKFold | GroupKFold | StratifiedGroupKFold:
    kinds = {
        (False, False): KFold,
        (True, False): StratifiedKFold,
        (False, True): GroupKFold,
        (True, True): StratifiedGroupKFold,
    }
    return kinds[stratified, grouped](count, shuffle=True, random_state=seed)


def _in_time(spec: Spec, partitions: pd.Series) -> list[Fold]:
    codes, keys = pd.factorize(partitions, sort=True)
    gap = spec.training.tuning.gap
    split = TimeSeriesSplit(_count(spec, len(keys) - 1))
    folds = []
    for known, unseen in split.split(np.arange(len(keys))):
        if gap:
            # A partition that the gap begins in is left out as a whole.
            end = spec.calendar.back(str(keys[unseen[0]]), gap)
            known = known[np.asarray(keys[known] < end, dtype=bool)]  # noqa: PLW2901 - what the gap leaves
        if len(known):
            folds.append((np.flatnonzero(np.isin(codes, known)), np.flatnonzero(np.isin(codes, unseen))))
    if len(folds) < 2:
        raise _too_little(spec, gap=bool(gap))
    return folds


def _count(spec: Spec, most: int) -> int:
    count = min(spec.training.tuning.folds, most)
    if count < 2:
        raise _too_little(spec, gap=False)
    return count


def _too_little(spec: Spec, gap: bool) -> NothingToDoError:
    shorter = ", shorten training.tuning.gap," if gap else ""
    return NothingToDoError(
        f"{spec.name}: too little history to compare candidates, cross-validation needs two folds at "
        f"least: ingest more{shorter} or describe a single candidate without a search"
    )
