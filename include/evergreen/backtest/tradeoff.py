"""The trade-off of error against trainings: fixed schedules as a curve, and where policies lie. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from evergreen.backtest.policies import parse_policy
from evergreen.backtest.result import PolicyResult
from evergreen.errors import SpecError
from evergreen.metrics import metric_named

_APART = 5


@dataclass(frozen=True)
class Point:
    """A policy's number of trainings and its error."""

    policy: str
    trainings: int
    value: float


def points(results: Sequence[PolicyResult]) -> tuple[list[Point], list[Point]]:
    """The fixed schedules, fewest trainings first, and the other policies, of those that scored anything."""
    found = [Point(r.policy, r.trainings, r.value) for r in results if r.value is not None and r.trainings]
    fixed = sorted(
        (point for point in found if _is_fixed(point.policy)), key=lambda p: (p.trainings, p.value)
    )
    return fixed, [point for point in found if point not in fixed]


def on_curve(fixed: Sequence[Point], trainings: int) -> float | None:
    """The error of the fixed schedules at a number of trainings, interpolated between the two nearest.

    Interpolation is linear in the logarithm of the trainings, because error falls by about the same amount
    with each doubling. A line over their number would lie far above the curve and flatter the policies that
    are compared with it. With more trainings than any schedule it is the error of the schedule with most.
    None with fewer than any, without two schedules, or between two schedules of which one trains more than
    five times as often, because the curve is not straight over that distance.
    """
    if len({point.trainings for point in fixed}) < 2 or trainings < fixed[0].trainings:
        return None
    for left, right in pairwise(fixed):
        if left.trainings <= trainings < right.trainings:
            if trainings > left.trainings and right.trainings > _APART * left.trainings:
                return None
            share = math.log(trainings / left.trainings) / math.log(right.trainings / left.trainings)
            return left.value + share * (right.value - left.value)
    return fixed[-1].value


def above_curve(results: Sequence[PolicyResult], policy: str) -> float | None:
    """How much worse a policy is than the fixed schedules at its number of trainings: `Metric.worse_by`.

    Below 0 it is better; None where that cannot be told.
    """
    fixed, others = points(results)
    own = next((point for point in others if point.policy == policy), None)
    expected = on_curve(fixed, own.trainings) if own else None
    if own is None or expected is None:
        return None
    metric = metric_named(next(result.metric for result in results if result.policy == policy))
    return metric.worse_by(own.value, expected)


def _is_fixed(name: str) -> bool:
    try:
        return parse_policy(name).fixed
    except SpecError:
        return False
