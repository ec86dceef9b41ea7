"""How often intervals and sets hold the truth, in counts of rows, so that nights add up exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evergreen.json_values import finite_or_none
from evergreen.metrics.predictions import Predictions
from evergreen.signals.sequential import widening

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


def correlation(units: Sequence[Covered]) -> float | None:
    """How much two rows of one unit correlate in being missed, 0 to 1, estimated from units of one level.

    The method of moments: the mean square between the units' shares, over the variance that the level
    promises, is expected to be 1 + (rows - 1) times the correlation (Ridout, Demetrio and Firth 1999,
    "Estimating intraclass correlation for binary data", Biometrics 55). It is estimated from few units, so
    the mean square is larger by the square of `evergreen.signals.sequential.widening`. None for fewer than
    two units; 0 where each has one row.
    """
    if len(units) < 2:
        return None
    rows = np.array([unit.rows for unit in units], dtype=np.float64)
    shares = np.array([unit.covered for unit in units]) / rows
    spread, level = len(units) - 1, units[0].level
    between = float(rows @ (shares - np.average(shares, weights=rows)) ** 2) / spread
    usual = (rows.sum() - rows @ rows / rows.sum()) / spread
    if usual <= 1:
        return 0.0
    effect = between * widening(len(units)) ** 2 / (level * (1 - level))
    return float(np.clip((effect - 1) / (usual - 1), 0.0, 1.0))


def pooled(parts: Iterable[Covered]) -> Covered:
    """The rows of at least one part of one level together."""
    found = list(parts)
    rows = sum(part.rows for part in found)
    width = sum(part.rows * part.width for part in found) / rows
    return Covered(found[0].level, rows, sum(part.covered for part in found), width)
