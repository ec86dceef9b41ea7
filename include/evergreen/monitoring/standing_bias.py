"""A standing bias: a regression whose predictions are off to one side, night after night. Pure.

A model that was trained on rows of before a break may promise an error as large as its bias, so that no
signal of performance fires. Its bias shows it. The signal `bias` asks for a training where it is named; this
is a warning for every regression.

The mean error of the nights since the last training must differ from 0 by more than the nights' scatter
explains. It is looked at after every night, and nights that follow one another err alike. So the bound is one
that holds at any time (`evergreen.evaluation.confidence`), its variance is that of correlated nights, and n
nights count as the n (1 - r) / (1 + r) independent ones that tell as much (Zwiers and von Storch 1995; see
`evergreen.evaluation.bootstrap`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evergreen.calendar import Calendar
from evergreen.evaluation.bootstrap import equivalent_units, serial_variance
from evergreen.evaluation.confidence import FEWEST, reach
from evergreen.json_values import finite_or_none
from evergreen.numbers import number
from evergreen.signals.performance import PERFORMANCE
from evergreen.signals.record import Record
from evergreen.signals.window import newest
from evergreen.spec import Spec

ERROR = 0.01
"""The probability of calling a bias, in either direction, where there is none and nights are independent."""
SHARE = 0.5
"""The share of the mean absolute error above which a bias matters."""


@dataclass(frozen=True)
class StandingBias:
    """What the nights say of a bias, in the target's unit; it `stands` if it is certain and large.

    `bias` is the mean of prediction less actual value and `absolute` the mean absolute error over the rows of
    the last `partitions` nights with labels, the oldest of which is `first`. `mean` is the mean of prediction
    less actual value over all `nights` that count, and the truth is within `reach` of it; infinite while that
    is not known.
    """

    stands: bool
    bias: float
    absolute: float
    partitions: int
    first: str
    mean: float
    reach: float
    nights: int

    def words(self, calendar: Calendar) -> str:
        """A clause that says it."""
        side = "more" if self.bias > 0 else "less"
        return (
            f"a standing bias: {number(abs(self.bias))} {side} than the actual value is predicted over "
            f"{calendar.last(self.partitions)}, with a mean absolute error of {number(self.absolute)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values: a number that is not finite becomes null."""
        return {**asdict(self), "reach": finite_or_none(self.reach)}


def judged_nights(spec: Spec, partition: str) -> int:
    """How many nights with labels up to a partition are judged together.

    Those of `monitoring.performance.over`, but at least a week of hours or days: a model may err one way on
    Mondays and the other way on Sundays, and has no bias. And at least 4: fewer show no scatter.
    """
    cycle = max(spec.calendar.grain.facts.cycles, default=0)
    week = round(cycle / spec.calendar.mean_days) if cycle else 0
    return max(PERFORMANCE.over(spec.monitoring, spec.calendar, partition), week, FEWEST)


def standing_bias(spec: Spec, records: Sequence[Record]) -> StandingBias | None:
    """Whether a bias stands after the newest of the records; None where too few nights are known.

    `records` are those of one champion, oldest first, with the labels known by then: since the last training,
    and of as many nights before it as are judged together. Only a regression with time has such nights.
    """
    known = [one for one in records if _known(one)]
    if not known:
        return None
    wanted = judged_nights(spec, records[-1].partition)
    last = newest(records, wanted, _known)
    if len(last) < wanted:
        return None
    bias, mean, found = _mean(last), _mean(known), _reach(spec, known)
    absolute = _pooled(last, [one.absolute or 0.0 for one in last])
    certain = abs(mean) > found and mean * bias > 0
    stands = certain and abs(bias) > SHARE * absolute
    return StandingBias(stands, bias, absolute, len(last), last[0].partition, mean, found, len(known))


def _known(record: Record) -> bool:
    return bool(record.labelled) and record.bias is not None and record.absolute is not None


def _mean(records: Sequence[Record]) -> float:
    """The mean of prediction less actual value over the rows of all the records."""
    return _pooled(records, [record.bias or 0.0 for record in records])


def _pooled(records: Sequence[Record], means: Sequence[float]) -> float:
    return float(np.average(means, weights=[record.labelled for record in records]))


def _reach(spec: Spec, records: Sequence[Record]) -> float:
    """How far the mean over the nights may be from the truth. The hours of a day are one unit together."""
    unit = spec.calendar.grain.facts.unit
    whole = records[len(records) % unit :]
    rows = np.array([record.labelled for record in whole], dtype=np.float64)
    sums = rows * [record.bias or 0.0 for record in whole]
    unit_rows, unit_sums = (values.reshape(-1, unit).sum(axis=1) for values in (rows, sums))
    if len(unit_rows) < FEWEST:
        return math.inf
    left_out = (unit_sums.sum() - unit_sums) / (unit_rows.sum() - unit_rows)
    if np.allclose(left_out, left_out.mean(), rtol=1e-9, atol=0):
        return 0.0  # all nights are off by the same, which leaves no doubt
    return reach(serial_variance(left_out), int(equivalent_units(left_out)), ERROR / 2)
