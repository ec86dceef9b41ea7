"""How often intervals hold the truth of the hold-out: of all its rows, and by the size of the prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evergreen.evaluation.bootstrap import (
    Interval,
    Replicates,
    Resampling,
    interval,
    replicates,
    whole_if_partitions_differ,
)
from evergreen.intervals.coverage import has_interval, within
from evergreen.json_values import json_values, number_or_nan
from evergreen.metrics.predictions import Predictions
from evergreen.metrics.sums import mean_by_unit

Floats = NDArray[np.float64]

_SIZES = 5
_ROWS_OF_A_SIZE = 50  # the coverage of as many rows is known to about 4 points at 90 %


@dataclass(frozen=True)
class SizeResult:
    """The rows whose prediction is from `low` to `high`: the share `covered`, and the mean `width`."""

    low: float
    high: float
    rows: int
    covered: float
    width: float


@dataclass(frozen=True)
class CoverageResult:
    """The intervals of one `level`: the share of the rows that they hold, and their mean width.

    `interval` is that of the share `covered`, NaN where all rows or none are; `width` is in the target's
    unit, NaN if an interval is infinite. `by_size` are up to 5 groups of about as many rows, the smallest
    predictions first; none of fewer than 100 rows.
    """

    level: float
    covered: float
    interval: Interval
    width: float
    by_size: tuple[SizeResult, ...] = ()

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
    counts. Nothing where there are no intervals, or not every row has one.
    """
    if actual is None or said.bounds is None or not len(said):
        return ()
    if not has_interval(actual, said.bounds).all():
        return ()
    hit = within(actual, said.bounds)
    width = said.bounds[:, :, 1] - said.bounds[:, :, 0]
    weights = np.ones(len(said)) if weights is None else weights
    if not weights.any():
        return ()
    sizes = _sizes(said.labels.astype(np.float64))
    return tuple(
        CoverageResult(
            level,
            float(np.average(hit[:, number], weights=weights)),
            _interval(hit[:, number].astype(np.float64), resampling, confidence, weights),
            _mean(width[:, number], weights),
            tuple(
                SizeResult(
                    float(said.labels[rows].min()),
                    float(said.labels[rows].max()),
                    len(rows),
                    float(np.average(hit[rows, number], weights=weights[rows])),
                    _mean(width[rows, number], weights[rows]),
                )
                for rows in sizes
                if weights[rows].any()
            ),
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


def _sizes(predicted: Floats) -> list[NDArray[np.intp]]:
    """The places of the rows of each size; rows of equal prediction are together."""
    wanted = min(_SIZES, len(predicted) // _ROWS_OF_A_SIZE)
    if wanted < 2:
        return []
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, wanted + 1)[1:-1]))
    place = np.searchsorted(edges, predicted, side="left")
    found = [np.flatnonzero(place == size) for size in range(len(edges) + 1)]
    return [rows for rows in found if len(rows)]
