"""Which rows are held out: never seen by the model that is evaluated. Pure."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.calendar import Length
from evergreen.errors import NothingToDoError, RefusedError, SpecError
from evergreen.lake import PARTITION
from evergreen.spec import Spec, Task
from evergreen.training_set.units import Units


def holdout_mask(spec: Spec, rows: pd.DataFrame, target: pd.Series | None, as_of: str) -> NDArray[np.bool_]:
    """A mask (n,) of the rows held out.

    With time: the partitions of the last `training.holdout` before `as_of`; where labels come later, of the
    last up to the newest partition with known labels. A share counts partitions, rounded up.
    For a snapshot: a share of the rows, stratified by class; with `tuning.group` a share of the groups. Each
    row or group draws a lot by the seed and its name, and the lowest are held out. So a later snapshot holds
    out the same ones again but for a few at the border, whatever their order and values.
    No class is held out whole: of a class with a single row, or with rows in a single group, nothing is.
    Raises `NothingToDoError` if nothing, or more than half of the partitions, would be held out, and
    `RefusedError` for a snapshot with too few rows.
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
    lots = Units.of(spec, rows).lots(spec.training.seed)
    if spec.training.tuning.group is None:
        return _lowest_rows(spec, lots, classes, share)
    mask = _lowest_groups(spec, lots, share)
    for name in [] if classes is None else sorted(set(classes[mask]) - set(classes[~mask]), key=str):
        of_class = (classes == name).to_numpy()
        if not (of_class & ~mask).any():
            mask &= lots != lots[of_class].max()
    if not mask.any():
        raise _not_split(spec, f"{len(np.unique(lots))} groups", "each has the only rows of a class")
    return mask


def _lowest_rows(
    spec: Spec, lots: NDArray[np.uint64], classes: pd.Series | None, share: float
) -> NDArray[np.bool_]:
    """The rows (n,) with the lowest lots of each class, or of all rows without classes."""
    codes, names = np.zeros(len(lots), dtype=np.intp), pd.Index([None])
    if classes is not None:
        codes, names = pd.factorize(classes, sort=True)
    sizes, wanted = np.bincount(codes, minlength=len(names)), math.ceil(share * len(lots))
    _check_split(spec, len(lots), wanted, sizes)
    order = np.lexsort((lots, codes))
    rank = np.empty(len(lots), dtype=np.intp)
    rank[order] = np.arange(len(lots)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.asarray(rank < _of_each(sizes, wanted)[codes], dtype=bool)


def _check_split(spec: Spec, rows: int, wanted: int, sizes: NDArray[np.intp]) -> None:
    """Raise `RefusedError` unless both parts can have a row of each class that has two."""
    why = None
    lone = int((sizes < 2).sum()) if len(sizes) > 1 else 0
    if lone == len(sizes):
        why = "each is the only one of its class"
    elif wanted < len(sizes) - lone or rows - wanted < len(sizes):
        held = f"{wanted} held out and {rows - wanted} left"
        why = f"{held} are too few for {len(sizes)} classes" if len(sizes) > 1 else f"{held} are too few"
    if why is not None:
        raise _not_split(spec, f"{rows} rows", why)


def _of_each(sizes: NDArray[np.intp], wanted: int) -> NDArray[np.intp]:
    """How many rows of each class (k,) are held out: its share, rounded so that all together are `wanted`.

    By the largest remainders. At least one row of each class is left.
    """
    shares, rows = wanted * sizes, sizes.sum()
    held = np.minimum(shares // rows, sizes - 1)
    rest = np.where(held < sizes - 1, shares % rows, 0)
    more = np.argsort(-rest, kind="stable")[: max(wanted - held.sum(), 0)]
    held[more[rest[more] > 0]] += 1
    return np.asarray(held, dtype=np.intp)


def _lowest_groups(spec: Spec, lots: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """The rows (n,) of the groups with the lowest lots."""
    groups = np.unique(lots)
    wanted = math.ceil(share * len(groups))
    if wanted >= len(groups):
        raise _not_split(spec, f"{len(groups)} groups", "there are too few")
    return np.asarray(lots <= groups[wanted - 1], dtype=bool)


def _not_split(spec: Spec, what: str, why: str) -> RefusedError:
    return RefusedError(
        f"{spec.name}: the {what} cannot be split into training and hold-out, {why}: give more rows, or "
        "another training.holdout"
    )
