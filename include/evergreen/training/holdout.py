"""Which rows are held out: never seen by the model that is evaluated. Pure."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from evergreen.errors import NothingToDoError, SpecError
from evergreen.lake import PARTITION
from evergreen.spec import Spec, Task


def holdout_mask(spec: Spec, rows: pd.DataFrame, target: pd.Series | None, as_of: str) -> NDArray[np.bool_]:
    """A mask (n,) of the rows held out.

    With time: the partitions of the last `training.holdout` before `as_of` (a share counts partitions,
    rounded up). Snapshot: a share of the rows drawn at random, seeded, stratified by class where there are
    classes.
    Raises `NothingToDoError` if nothing, or more than half of the partitions, would be held out.
    """
    if spec.calendar.has_time:
        return _newest(spec, rows, as_of)
    return _drawn(spec, rows, target)


def _newest(spec: Spec, rows: pd.DataFrame, as_of: str) -> NDArray[np.bool_]:
    keys = sorted(rows[PARTITION].unique())
    holdout = spec.training.holdout
    if isinstance(holdout, timedelta):
        start = spec.calendar.back(as_of, holdout)
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
    try:
        _, held = train_test_split(
            np.arange(len(rows)), test_size=share, random_state=spec.training.seed, stratify=classes
        )
    except ValueError as error:
        raise NothingToDoError(
            f"{spec.name}: the {len(rows)} rows cannot be split into training and hold-out: "
            f"{' '.join(str(error).split())} Give more rows, or another training.holdout"
        ) from None
    mask = np.zeros(len(rows), dtype=bool)
    mask[held] = True
    return mask
