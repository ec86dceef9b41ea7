"""Challenger against champion on the same rows: how much worse it is, and how sure one can be of that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evergreen.evaluation.bootstrap import (
    Interval,
    Replicates,
    Resampling,
    interval,
    replicates,
    whole_if_partitions_differ,
)
from evergreen.json_values import finite_or_none, number_or_nan
from evergreen.metrics import Metric, metric_named
from evergreen.metrics.measured import Measured
from evergreen.spec import ChampionRule

_NUMBERS = ("challenger", "champion", "loss", "low", "high")


@dataclass(frozen=True)
class Comparison:
    """Challenger and champion compared in one metric on the same `rows`, resampled in `blocks`.

    The rows are of so many `units`, partitions or days of hourly ones: None for a snapshot, and if an older
    release did not count them.
    `loss` is how much worse the challenger is, in the metric's own unit: above 0 is worse, also where higher
    values of the metric are better. `low` and `high` are the interval of the loss, from `rounds` rounds of
    the bootstrap. `parts_of` is how many partitions the blocks are parts of, 0 where they are whole ones.
    What could not be computed is NaN.
    """

    metric: str
    rows: int
    blocks: int
    challenger: float
    champion: float
    loss: float
    low: float
    high: float
    confidence: float
    rounds: int
    parts_of: int = 0
    units: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON values: a number that is not finite becomes null."""
        numbers = {name: finite_or_none(getattr(self, name)) for name in _NUMBERS}
        return {**vars(self), **numbers}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Comparison:
        """The comparison that `to_dict` wrote."""
        return cls(**{**content, **{name: number_or_nan(content[name]) for name in _NUMBERS}})


def allowed_loss(comparison: Comparison, rule: ChampionRule) -> float:
    """The loss that the whole interval must stay under, in the metric's own unit; below 0 is a gain."""
    margin = metric_named(comparison.metric).allowance(comparison.champion, rule.margin)
    return margin if rule.test == "non_inferiority" else -margin


def beyond(metric: Metric, rule: ChampionRule, own: Any, theirs: Any) -> Any:
    """By how much losses lie beyond what the rule allows: a superior challenger's must be gains.

    `own` and `theirs` are metrics of challenger and champion, numbers or arrays.
    """
    allowed = metric.allowance(theirs, rule.margin)
    return metric.loss(own, theirs) + (allowed if rule.test == "superiority" else -allowed)


def clears(comparison: Comparison, rule: ChampionRule) -> bool | None:
    """Whether the interval clears the rule's margin; None where there is no interval.

    A loss of just the margin is not inferior, and a gain of just the margin is not superior.
    """
    bound, high = allowed_loss(comparison, rule), comparison.high
    if not (math.isfinite(bound) and math.isfinite(high) and math.isfinite(comparison.low)):
        return None
    return high <= bound if rule.test == "non_inferiority" else high < bound


def clearly_worse(comparison: Comparison, rule: ChampionRule) -> bool:
    """Whether the whole interval lies beyond the margin. What neither does so nor clears is inconclusive."""
    return comparison.low > allowed_loss(comparison, rule)


def compare(
    metric: str,
    challenger: Measured,
    champion: Measured,
    *,
    units: NDArray[Any] | None,
    rule: ChampionRule,
    seed: int,
    times: NDArray[Any] | None = None,
) -> Comparison:
    """Hold the challenger against the champion in one metric on the same n rows, by a paired bootstrap.

    `units` (n,) are the positions of the rows' partitions in time: blocks of `rule.block` neighbouring
    partitions are drawn. It is None for independent rows. `times` (n,) orders the rows of a partition, which
    counts where there are two or three of them (see `Resampling.of`). In each round both models are measured
    on the same rows, so what is hard for both cancels out. See `evergreen.evaluation.bootstrap.interval`. The
    interval is as wide as that of what the loss lies beyond the margin, which is a share of what varies as
    well. What cannot be computed is NaN.
    """
    resampling = Resampling.of(units, len(challenger), rule, seed, times)
    own, theirs = (side.value(metric) for side in (challenger, champion))
    loss = metric_named(metric).loss(own, theirs)
    found = Interval(math.nan, math.nan)
    if math.isfinite(loss):

        def varied(resampling: Resampling) -> Replicates:
            ours, others = (_replicates(side, metric, resampling) for side in (challenger, champion))
            return Replicates(
                beyond(metric_named(metric), rule, ours.drawn, others.drawn),
                beyond(metric_named(metric), rule, ours.left_out, others.left_out),
            )

        drawn, resampling = whole_if_partitions_differ(varied, resampling)
        found = interval(loss, drawn, resampling, rule.confidence)
    return Comparison(
        metric,
        len(challenger),
        resampling.blocks,
        own,
        theirs,
        loss,
        found.low,
        found.high,
        rule.confidence,
        rule.rounds,
        resampling.parts_of,
        None if units is None else len(np.unique(units)),
    )


def intervals(
    rows: Measured,
    *,
    units: NDArray[Any] | None,
    rule: ChampionRule,
    seed: int,
    times: NDArray[Any] | None = None,
) -> dict[str, Interval]:
    """The interval of every metric of the task that has one, within the range the metric can have.

    Arguments as of `compare`.
    """
    resampling = Resampling.of(units, len(rows), rule, seed, times)
    found: dict[str, Interval] = {}
    for metric, value in rows.values.items():
        if not math.isfinite(value):
            continue
        drawn, used = whole_if_partitions_differ(partial(_replicates, rows, metric), resampling)
        reach = interval(value, drawn, used, rule.confidence)
        if math.isfinite(reach.low) and math.isfinite(reach.high):
            within = metric_named(metric).within
            found[metric] = Interval(within(reach.low), within(reach.high))
    return found


def _replicates(rows: Measured, metric: str, resampling: Resampling) -> Replicates:
    if resampling.blocks < 2:
        return Replicates(np.empty(0), np.empty(0))
    return replicates(resampling, metric_named(metric).sums(rows, resampling.unit, resampling.units))
