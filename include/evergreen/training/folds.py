"""Folds of cross-validation that suit the pipeline: in the order of time where there is time. Pure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold, TimeSeriesSplit

from evergreen.errors import NothingToDoError
from evergreen.spec import Spec, Task

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Positions of the rows to fit on, and of those to score on."""


def folds_of(spec: Spec, partitions: pd.Series, target: pd.Series | None) -> list[Fold]:
    """The folds of rows with these partitions (n,) and this target (n,).

    With time: whole partitions, each fold fit on what came before the partitions it is scored on. Snapshot:
    stratified by class for classification, plain K-fold for regression, both shuffled with the seed.
    Clustering has no target to overfit to: a single fold of all rows, fit and scored. Fewer folds than
    described are made where there are too few partitions, rows, or rows of a class for them; raises
    `NothingToDoError` if there are not even two.
    """
    rows = np.arange(len(partitions))
    if spec.task is Task.CLUSTERING:
        return [(rows, rows)]
    if spec.calendar.has_time:
        return _in_time(spec, partitions)
    if spec.task is Task.CLASSIFICATION:
        assert target is not None
        smallest = int(target.value_counts().min())
        stratified = StratifiedKFold(_count(spec, smallest), shuffle=True, random_state=spec.training.seed)
        return list(stratified.split(rows, target))
    plain = KFold(_count(spec, len(rows)), shuffle=True, random_state=spec.training.seed)
    return list(plain.split(rows))


def _in_time(spec: Spec, partitions: pd.Series) -> list[Fold]:
    codes, keys = pd.factorize(partitions, sort=True)
    split = TimeSeriesSplit(_count(spec, len(keys) - 1))
    return [
        (np.flatnonzero(np.isin(codes, known)), np.flatnonzero(np.isin(codes, unseen)))
        for known, unseen in split.split(np.arange(len(keys)))
    ]


def _count(spec: Spec, most: int) -> int:
    count = min(spec.training.tuning.folds, most)
    if count < 2:
        raise NothingToDoError(
            f"{spec.name}: too little history to compare candidates, cross-validation needs two folds at "
            "least: ingest more, or describe a single candidate without a search"
        )
    return count
