"""A challenger on trial: compared with the champion on the nights that come, until it is clear. Pure.

The gate judges a challenger once, on its hold-out, by a copy that was fit without it. What that leaves
open is settled by the version itself, as it would serve: it predicts the rows of each night beside the
champion, and once their labels are known both are compared on all rows of all nights since its training. The
bound is one that may be looked at every night (`evergreen.evaluation.confidence`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from evergreen.evaluation.bootstrap import serial_variance
from evergreen.evaluation.compare import beyond
from evergreen.evaluation.confidence import FEWEST, reach
from evergreen.json_values import finite_or_none
from evergreen.metrics import Metric
from evergreen.metrics.part import Part
from evergreen.spec import ChampionRule

_MOST_UNITS, _MOST_CURVES = 60, 20
# Above this number neighbours are left out together, because each one of more by itself would take long.


@dataclass(frozen=True)
class Pair:
    """One metric of both models on the same rows of one night."""

    challenger: Part
    champion: Part


@dataclass(frozen=True)
class Trial:
    """Where a trial stands.

    `challenger` and `champion` are the metric over all `rows`, and `loss` is how much worse the challenger
    is, in the metric's own unit. The truth is within `reach` of it, on each side, as often as the rule asks
    for. What cannot be computed is NaN; `reach` is then infinite, as it is where the nights do not differ at
    all: two models that agreed on the few rows so far have not shown that they are equal. `gain` is by how
    much the challenger is better, as a share of the champion's distance from a perfect model. `units` are the
    nights, or the days of nights that are hours.
    """

    outcome: Literal["better", "worse", "open"]
    challenger: float
    champion: float
    loss: float
    reach: float
    gain: float
    rows: int
    units: int

    def to_dict(self) -> dict[str, Any]:
        """The trial as JSON values: a number that is not finite becomes null."""
        numbers = ("challenger", "champion", "loss", "reach", "gain")
        return {**vars(self), **{name: finite_or_none(getattr(self, name)) for name in numbers}}


def trial(
    metric: Metric, rule: ChampionRule, pairs: Sequence[Pair], together: int = 1, tightest: int = 90
) -> Trial:
    """What all nights of a trial say together, oldest first; `together` of them count as one unit.

    `tightest` is the number of units at which the bound is tightest (see `evergreen.evaluation.confidence`).
    The challenger is `better` once the whole interval clears the rule's margin, and `worse` once all of it
    lies beyond; until then the trial is `open`. Gate and trial share what the rule's confidence leaves to
    error: at 95 %, 2.5 % of equal challengers pass the one by chance, and as many the other.
    """
    rows, units = sum(pair.champion.rows for pair in pairs), len(pairs) // together
    own, theirs = _pooled(metric, pairs)
    loss = metric.loss(own, theirs)
    if not math.isfinite(loss):
        return Trial("open", own, theirs, math.nan, math.inf, math.nan, rows, units)
    found = reach(_variance(metric, rule, pairs, together), units, rule.one_sided, tightest)
    past = beyond(metric, rule, own, theirs)
    outcome: Literal["better", "worse", "open"] = "open"
    if past + found < 0 or (past + found == 0 and rule.test == "non_inferiority"):
        outcome = "better"
    elif past - found > 0:
        outcome = "worse"
    gain = -(metric.worse_by(own, theirs) or 0.0)
    return Trial(outcome, own, theirs, loss, found, gain, rows, units)


def _variance(metric: Metric, rule: ChampionRule, pairs: Sequence[Pair], together: int) -> float:
    """The variance of what a loss lies beyond the margin, by leaving out each unit, or some neighbours.

    The margin is a share of the champion's own distance from a perfect model, which varies as well.
    """
    units = len(pairs) // together
    if units < FEWEST:
        return math.nan
    step = together * -(-units // (_MOST_CURVES if metric.pools == "rows" else _MOST_UNITS))
    starts = range(0, len(pairs), step)
    rest = ([*pairs[:n], *pairs[n + step :]] for n in starts)
    without = np.array([beyond(metric, rule, *_pooled(metric, some)) for some in rest])
    return serial_variance(without) if np.isfinite(without).all() else math.nan


def _pooled(metric: Metric, pairs: Sequence[Pair]) -> tuple[float, float]:
    challenger = metric.pooled([pair.challenger for pair in pairs])
    return challenger, metric.pooled([pair.champion for pair in pairs])
