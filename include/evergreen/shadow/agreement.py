"""How far two versions agree on the same rows. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evergreen.json_values import finite_or_none
from evergreen.numbers import number, percent
from evergreen.task import Task


@dataclass(frozen=True)
class Agreement:
    """How far the predictions of two versions agree on `rows`; None where it is not defined.

    `equal` is the share of rows with the same class, or the same number. Of a regression, `difference` is the
    mean absolute difference of both, in the target's unit, and `correlation` is Pearson's. Of a clustering
    `equal` is the adjusted Rand index (Hubert and Arabie 1985), since each version names its clusters as it
    likes.
    """

    rows: int
    equal: float | None = None
    difference: float | None = None
    correlation: float | None = None

    @property
    def words(self) -> str:
        """The agreement in a clause."""
        if not self.rows:
            return "no row was predicted by both"
        said = f"{percent(self.equal)} of {self.rows:,} rows are predicted alike"
        if self.difference is None:
            return said
        apart, together = number(self.difference), number(self.correlation)
        return f"{said}, the mean difference is {apart} and the correlation {together}"


def agreement(task: Task, champion: ArrayLike, shadow: ArrayLike) -> Agreement:
    """The agreement of two versions' predictions (n,) of the same rows."""
    ours, theirs = np.asarray(champion), np.asarray(shadow)
    if not len(ours):
        return Agreement(0)
    if task is Task.CLUSTERING:
        from sklearn.metrics import adjusted_rand_score

        return Agreement(len(ours), float(adjusted_rand_score(ours, theirs)))
    equal = float(np.mean(ours == theirs))
    if task is not Task.REGRESSION:
        return Agreement(len(ours), equal)
    one, other = ours.astype(np.float64), theirs.astype(np.float64)
    difference = finite_or_none(float(np.mean(np.abs(one - other))))
    return Agreement(len(ours), equal, difference, finite_or_none(_correlation(one, other)))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return math.nan
    return float(np.corrcoef(one, other)[0, 1])
