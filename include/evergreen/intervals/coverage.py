"""How often intervals and sets hold the truth, in counts of rows, so that nights add up exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evergreen.json_values import finite_or_none
from evergreen.metrics.predictions import Predictions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Covered:
    """Rows with the intervals or sets of one `level`: how many `rows` have a truth, and how many hold it.

    `width` is the mean of upper less lower bound, in the target's unit; infinite where a bound is. Of sets it
    is the mean number of classes.
    """

    level: float
    rows: int
    covered: int
    width: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values: a width that is not finite becomes null."""
        return {
            "level": self.level,
            "rows": self.rows,
            "covered": self.covered,
            "width": finite_or_none(self.width),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Covered:
        """What `to_dict` gave; a width that is null is infinite."""
        width = content["width"]
        return cls(
            content["level"], content["rows"], content["covered"], math.inf if width is None else width
        )


def within(actual: ArrayLike, bounds: Floats) -> NDArray[np.bool_]:
    """Whether the truth (n,) lies in the intervals (n, levels, 2), their ends included: (n, levels)."""
    truth = np.asarray(actual, dtype=np.float64)[:, None]
    found: NDArray[np.bool_] = (bounds[:, :, 0] <= truth) & (truth <= bounds[:, :, 1])
    return found


def has_interval(actual: ArrayLike, bounds: Floats) -> NDArray[np.bool_]:
    """Which rows (n,) have a truth and all bounds: an older version may have published none."""
    found: NDArray[np.bool_] = np.isfinite(np.asarray(actual, dtype=np.float64))
    return found & ~np.isnan(bounds).any(axis=(1, 2))


def among(actual: ArrayLike, sets: NDArray[np.bool_], classes: Sequence[Any]) -> NDArray[np.bool_]:
    """Whether the true class (n,) is in the sets (n, levels, k) of these classes: (n, levels)."""
    place = {name: number for number, name in enumerate(classes)}
    truth = np.array([place.get(name, -1) for name in np.asarray(actual).tolist()], dtype=np.intp)
    found: NDArray[np.bool_] = sets[np.arange(len(truth)), :, truth] & (truth >= 0)[:, None]
    return found


def beside(
    actual: ArrayLike, said: Predictions
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Floats] | None:
    """Which rows (n,) have a truth and what is to hold it, whether it does and its width: (n, levels) each.

    None where there are neither intervals nor sets. `actual` (n,) is missing where the truth is unknown.
    """
    truth = np.asarray(actual)
    if said.bounds is not None:
        counted = has_interval(truth, said.bounds)
        return counted, within(truth, said.bounds), said.bounds[:, :, 1] - said.bounds[:, :, 0]
    if said.sets is not None:
        return ~pd.isna(truth), among(truth, said.sets, said.classes), said.sets.sum(axis=2).astype(float)
    return None


def covered(actual: ArrayLike, said: Predictions) -> tuple[Covered, ...]:
    """The coverage of each level of predictions beside their truth (n,), missing where it is unknown.

    Each row counts alike. Nothing where there are no intervals or sets, or no row has both.
    """
    return covered_by_partition(np.zeros(len(said), dtype=np.intp), actual, said).get("0", ())


def covered_by_partition(
    partitions: ArrayLike, actual: ArrayLike, said: Predictions
) -> dict[str, tuple[Covered, ...]]:
    """The same of each partition, by key, oldest first; `partitions` (n,) are the keys of the rows."""
    if (found := beside(actual, said)) is None:
        return {}
    counted, hits, sizes = found
    codes, keys = pd.factorize(np.asarray(partitions)[counted], sort=True)
    rows = np.bincount(codes, minlength=len(keys))
    held, widths = (
        _summed(codes, hits[counted], len(keys)),
        _summed(codes, sizes[counted], len(keys)) / rows[:, None],
    )
    return {
        str(key): tuple(
            Covered(level, int(rows[at]), int(hit), float(width))
            for level, hit, width in zip(said.levels, held[at], widths[at], strict=True)
        )
        for at, key in enumerate(keys)
    }


def _summed(codes: NDArray[np.intp], values: NDArray[Any], size: int) -> Floats:
    """The sums of values (n, levels) over the rows of each code: (size, levels)."""
    return np.column_stack([np.bincount(codes, column, size) for column in values.T])
