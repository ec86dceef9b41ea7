"""How often intervals hold the truth, in counts of rows: so those of several nights add up exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    """Rows with the intervals of one `level`: how many `rows` have a truth, and how many it lies within.

    `width` is the mean of upper less lower bound, in the target's unit; infinite where a bound is.
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


def covered(actual: ArrayLike, said: Predictions) -> tuple[Covered, ...]:
    """The coverage of each level of predictions beside their truth (n,), NaN where it is unknown.

    Each row counts alike. Nothing where there are no intervals, or no row has both.
    """
    return covered_by_partition(np.zeros(len(said), dtype=np.intp), actual, said).get("0", ())


def covered_by_partition(
    partitions: ArrayLike, actual: ArrayLike, said: Predictions
) -> dict[str, tuple[Covered, ...]]:
    """The same of each partition, by key, oldest first; `partitions` (n,) are the keys of the rows."""
    if said.bounds is None:
        return {}
    counted = has_interval(actual, said.bounds)
    codes, keys = pd.factorize(np.asarray(partitions)[counted], sort=True)
    bounds, rows = said.bounds[counted], np.bincount(codes, minlength=len(keys))
    held = _summed(codes, within(np.asarray(actual)[counted], bounds), len(keys))
    widths = _summed(codes, bounds[:, :, 1] - bounds[:, :, 0], len(keys)) / rows[:, None]
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
