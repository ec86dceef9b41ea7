"""Rows that a model is fit on or scored on: features, target and weights, aligned by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.calendar import Calendar
from evergreen.lake import PARTITION
from evergreen.units import HalfLife

if TYPE_CHECKING:
    from evergreen.training_set.assemble import TrainingSet


@dataclass(frozen=True)
class Sample:
    """`features` (n, d), `target` (n,) or None for clustering, and `partitions` (n,), the key of each row.

    `weights` (n,) are those that metrics count too, None where all are equal. `groups` (n,) are numbers of
    the groups that folds keep together, None where there are none.
    """

    features: pd.DataFrame = field(repr=False)
    target: pd.Series | None = field(repr=False)
    partitions: pd.Series = field(repr=False)
    weights: NDArray[np.float64] | None = field(default=None, repr=False)
    groups: NDArray[np.intp] | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        training_set: TrainingSet,
        rows: NDArray[np.bool_] | None = None,
        groups: NDArray[np.intp] | None = None,
    ) -> Sample:
        """The rows of a training set that the mask (n,) names, all of them without one.

        `groups` (n,) are those of all its rows.
        """
        keys = training_set.rows[PARTITION]
        whole = cls(training_set.features, training_set.target, keys, training_set.weights, groups)
        return whole if rows is None else whole.taken(np.flatnonzero(rows))

    def taken(self, positions: NDArray[np.intp]) -> Sample:
        """The rows at these positions (m,), in their order."""
        return Sample(
            self.features.iloc[positions],
            None if self.target is None else self.target.iloc[positions],
            self.partitions.iloc[positions],
            None if self.weights is None else self.weights[positions],
            None if self.groups is None else self.groups[positions],
        )

    @classmethod
    def joined(cls, parts: Sequence[Sample]) -> Sample:
        """The rows of at least one part after another."""
        targets = [part.target for part in parts if part.target is not None]
        weights = [part.weights for part in parts if part.weights is not None]
        return cls(
            pd.concat([part.features for part in parts], ignore_index=True),
            pd.concat(targets, ignore_index=True) if targets else None,
            pd.concat([part.partitions for part in parts], ignore_index=True),
            np.concatenate(weights) if weights else None,
        )


def recent(
    calendar: Calendar, partitions: pd.Series, half_life: HalfLife, weights: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Weights (n,) times 0.5 ** (age / half-life), for rows of these partitions (n,).

    The age is event time from the start of a row's partition to the end of the newest of these partitions. So
    it counts from the as-of for a model that is fit on all rows, and the models of folds, which are fit on
    older rows alone, are weighted just as the final one will be. The newest rows weigh less than 1, the same
    in every fit. A half-life in partitions counts partitions, another one elapsed time.
    """
    codes, keys = pd.factorize(partitions)
    end = calendar.shift(str(max(keys)), 1)
    halvings = np.array([_halvings(calendar, str(key), end, half_life) for key in keys])
    own = np.ones(len(partitions)) if weights is None else np.asarray(weights, dtype=np.float64)
    found: NDArray[np.float64] = own * np.exp2(-halvings)[codes]
    return found


def _halvings(calendar: Calendar, key: str, end: str, half_life: HalfLife) -> float:
    length = half_life.length
    if length.in_partitions:
        return calendar.distance(key, end) / length.count
    return (calendar.start(end) - calendar.start(key)) / timedelta(days=calendar.days(length))


def balanced(target: pd.Series, weights: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Weights (n,) in the same proportions within a class, of which every class has the same sum.

    Their sum stays what it was, n without weights.
    """
    codes, classes = pd.factorize(target)
    own = np.ones(len(target)) if weights is None else np.asarray(weights, dtype=np.float64)
    of_class: NDArray[Any] = np.bincount(codes, weights=own, minlength=len(classes))
    found: NDArray[np.float64] = own * (own.sum() / (len(classes) * of_class))[codes]
    return found
