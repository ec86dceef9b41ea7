"""Which rows are held out: never seen by the model that is evaluated. Pure."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from evergreen.calendar import Length
from evergreen.errors import NothingToDoError, SpecError, one_line
from evergreen.lake import PARTITION
from evergreen.spec import Spec, Task
from evergreen.training_set.folds import groups_of


def holdout_mask(spec: Spec, rows: pd.DataFrame, target: pd.Series | None, as_of: str) -> NDArray[np.bool_]:
    """A mask (n,) of the rows held out.

    With time: the partitions of the last `training.holdout` before `as_of`; where labels come later, of the
    last up to the newest partition with known labels. A share counts partitions, rounded up.
    For a snapshot: a share of the rows, drawn at random with the seed and stratified by class; with
    `tuning.group` a share of the groups.
    Raises `NothingToDoError` if nothing, or more than half of the partitions, would be held out, or if a
    class would be left with no row to learn from.
    """
    if spec.calendar.has_time:
        return _newest(spec, rows, as_of)
    return _drawn(spec, rows, target)


def _newest(spec: Spec, rows: pd.DataFrame, as_of: str) -> NDArray[np.bool_]:
    keys = sorted(rows[PARTITION].unique())
    holdout = spec.training.holdout
    if isinstance(holdout, Length):
        end = spec.calendar.shift(keys[-1], 1) if spec.labels and keys else as_of
        start = spec.calendar.back(end, holdout)
        held = [key for key in keys if key >= start]
    else:
        held = keys[len(keys) - math.ceil(holdout * len(keys)) :]
    if not held:
        raise NothingToDoError(
            f"{spec.name}: no rows are published in the hold-out before {as_of}: ingest the partitions there "
            "or train as of an earlier one"
        )
    if 2 * len(held) > len(keys):
        raise NothingToDoError(
            f"{spec.name}: as of {as_of} the hold-out would take {len(held)} of {len(keys)} partitions, more "
            "than half: ingest more history or shorten training.holdout"
        )
    return np.asarray(rows[PARTITION] >= held[0], dtype=bool)


def _drawn(spec: Spec, rows: pd.DataFrame, target: pd.Series | None) -> NDArray[np.bool_]:
    share = spec.training.holdout
    assert isinstance(share, float)
    if not 0 < share <= 0.5:
        raise SpecError(
            f"{spec.name}: training.holdout: {share:g} must be above 0 and at most 0.5 for a snapshot"
        )
    classes = target if spec.task is Task.CLASSIFICATION else None
    groups = groups_of(spec, rows)
    try:
        held = (
            _drawn_rows(spec, share, classes, len(rows)) if groups is None else _groups(spec, share, groups)
        )
    except ValueError as error:
        raise NothingToDoError(
            f"{spec.name}: the {len(rows)} rows cannot be split into training and hold-out: "
            f"{one_line(error)} Give more rows, or another training.holdout"
        ) from None
    mask = np.zeros(len(rows), dtype=bool)
    mask[held] = True
    if classes is not None and (unknown := set(classes[mask]) - set(classes[~mask])):
        raise NothingToDoError(
            f"{spec.name}: all rows of class {', '.join(map(str, sorted(unknown, key=str)))} are held out "
            "with their groups: give more rows, or another training.holdout or training.seed"
        )
    return mask


def _drawn_rows(spec: Spec, share: float, classes: pd.Series | None, count: int) -> NDArray[np.intp]:
    _, held = train_test_split(
        np.arange(count), test_size=share, random_state=spec.training.seed, stratify=classes
    )
    return np.asarray(held, dtype=np.intp)


def _groups(spec: Spec, share: float, groups: NDArray[np.intp]) -> NDArray[np.intp]:
    split = GroupShuffleSplit(1, test_size=share, random_state=spec.training.seed)
    return np.asarray(next(split.split(groups, groups=groups))[1], dtype=np.intp)
