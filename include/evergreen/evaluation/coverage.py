"""How often intervals and sets hold the truth of the hold-out: in all, by size of prediction, by class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evergreen.evaluation.bootstrap import (
    Interval,
    Replicates,
    Resampling,
    interval,
    replicates,
    whole_if_partitions_differ,
)
from evergreen.intervals.coverage import beside
from evergreen.json_values import json_values, number_or_nan
from evergreen.metrics.predictions import Predictions
from evergreen.metrics.sums import mean_by_unit

Floats = NDArray[np.float64]

_SIZES = 5
_ROWS_OF_A_SIZE = 50  # the coverage of as many rows is known to about 4 points at 90 %


@dataclass(frozen=True, kw_only=True)
class PartResult:
    """Some of the rows: the share `covered`, and the mean `width`."""

    rows: int
    covered: float
    width: float


@dataclass(frozen=True, kw_only=True)
class SizeResult(PartResult):
    """The rows whose prediction is from `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ClassResult(PartResult):
    """The rows that are truly of the class `name`."""

    name: Any


@dataclass(frozen=True)
class CoverageResult:
    """The intervals or sets of one `level`: the share of the rows that they hold, and their mean width.

    `interval` is that of the share `covered`, NaN where all rows or none are; `width` is in the target's
    unit, NaN if an interval is infinite, and of sets the number of classes. `by_size` are up to 5 groups of
    about as many rows, the smallest predictions first; none of fewer than 100 rows, and none of sets.
    `by_class` are of sets, by the true class.
    """

    level: float
    covered: float
    interval: Interval
    width: float
    by_size: tuple[SizeResult, ...] = ()
    by_class: tuple[ClassResult, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values: a number that is not finite becomes null."""
        content: dict[str, Any] = json_values(asdict(self))
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> CoverageResult:
        """What `to_dict` wrote."""
        sizes = [{**size, "width": number_or_nan(size["width"])} for size in content["by_size"]]
        return cls(
            content["level"],
            content["covered"],
            Interval.from_dict(content["interval"]),
            number_or_nan(content["width"]),
            tuple(SizeResult(**size) for size in sizes),
            tuple(ClassResult(**one) for one in content.get("by_class", ())),
        )


def measure_coverage(
    actual: ArrayLike | None,
    said: Predictions,
    resampling: Resampling,
    confidence: float,
    weights: Floats | None = None,
) -> tuple[CoverageResult, ...]:
    """The coverage of each level of predictions (n) beside their truth (n,).

    `resampling` of the rows gives the interval of `confidence`, and `weights` (n,) is how much each row
    counts. Nothing where there are no intervals or sets, or not every row has one.
    """
    found = None if actual is None or not len(said) else beside(actual, said)
    weights = np.ones(len(said)) if weights is None else weights
    if found is None or not found[0].all() or not weights.any():
        return ()
    _, hits, widths = found
    sizes = [] if said.bounds is None else _sizes(said.labels.astype(np.float64))
    sizes = [rows for rows in sizes if weights[rows].any()]
    classes = [] if said.sets is None else _classes(actual, weights)

    def part(rows: NDArray[np.intp], number: int) -> dict[str, Any]:
        hit, width, own = hits[rows, number], widths[rows, number], weights[rows]
        return {
            "rows": len(rows),
            "covered": float(np.average(hit, weights=own)),
            "width": _mean(width, own),
        }

    return tuple(
        CoverageResult(
            level,
            float(np.average(hits[:, number], weights=weights)),
            _interval(hits[:, number].astype(np.float64), resampling, confidence, weights),
            _mean(widths[:, number], weights),
            tuple(
                SizeResult(
                    low=float(said.labels[rows].min()),
                    high=float(said.labels[rows].max()),
                    **part(rows, number),
                )
                for rows in sizes
            ),
            tuple(ClassResult(name=name, **part(rows, number)) for name, rows in classes),
        )
        for number, level in enumerate(said.levels)
    )


def _interval(hit: Floats, resampling: Resampling, confidence: float, weights: Floats) -> Interval:
    if resampling.blocks < 2 or hit.min() == hit.max():
        return Interval(math.nan, math.nan)

    def varied(drawn: Resampling) -> Replicates:
        return replicates(drawn, [mean_by_unit(hit, drawn.unit, drawn.units, weights)])

    found, used = whole_if_partitions_differ(varied, resampling)
    reach = interval(float(np.average(hit, weights=weights)), found, used, confidence)
    return Interval(max(reach.low, 0.0), min(reach.high, 1.0))


def _mean(width: Floats, weights: Floats) -> float:
    return float(np.average(width, weights=weights)) if np.isfinite(width).all() else math.nan


def _classes(actual: ArrayLike | None, weights: Floats) -> list[tuple[Any, NDArray[np.intp]]]:
    """Each class in its order, and the places of its rows, where any of them counts."""
    codes, names = pd.factorize(np.asarray(actual), sort=True)
    found = [(name, np.flatnonzero(codes == number)) for number, name in enumerate(names.tolist())]
    return [(name, rows) for name, rows in found if weights[rows].any()]


def _sizes(predicted: Floats) -> list[NDArray[np.intp]]:
    """The places of the rows of each size; rows of equal prediction are together."""
    wanted = min(_SIZES, len(predicted) // _ROWS_OF_A_SIZE)
    if wanted < 2:
        return []
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, wanted + 1)[1:-1]))
    place = np.searchsorted(edges, predicted, side="left")
    found = [np.flatnonzero(place == size) for size in range(len(edges) + 1)]
    return [rows for rows in found if len(rows)]
