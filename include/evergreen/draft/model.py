"""Metric, candidates, gate and windows by the task and by how much data there is. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from evergreen.calendar import Grain
from evergreen.draft.target import Target
from evergreen.draft.times import FEWEST, Times
from evergreen.metrics import Metric, usual_metric
from evergreen.task import Task

HOLDOUT = 0.2

_RARE = 0.1  # below this share of positives the area under ROC says little of them
_UNBALANCED = 3.0  # the most frequent class has so many times more rows than the rarest
_LEAST, _MOST = 0.02, 0.3  # the gate's margin
_WINDOWS = {  # and how many partitions the first training waits for at most
    Grain.HOURLY: ("28 days", 168),
    Grain.DAILY: ("365 days", 60),
    Grain.WEEKLY: ("104 partitions", 26),
    Grain.MONTHLY: ("60 months", 18),
}
SCHEDULES = {
    Grain.HOURLY: ("10 * * * *", "ten minutes after each hour"),
    Grain.DAILY: ("0 3 * * *", "each night, the day that has ended"),
    Grain.WEEKLY: ("0 3 * * 1", "Monday night, the week that has ended"),
    Grain.MONTHLY: ("0 3 1 * *", "the first night of a month, the month that has ended"),
    Grain.SNAPSHOT: ("0 3 * * 1", "Monday night, all rows anew"),
}
_LINEAR: dict[Task, dict[str, Any]] = {
    Task.REGRESSION: {"estimator": "sklearn.linear_model.Ridge"},
    Task.CLASSIFICATION: {
        "estimator": "sklearn.linear_model.LogisticRegression",
        "params": {"max_iter": 1000},
    },
}
_BOOSTED: dict[Task, dict[str, Any]] = {
    Task.REGRESSION: {"estimator": "sklearn.ensemble.HistGradientBoostingRegressor"},
    Task.CLASSIFICATION: {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier"},
}


@dataclass(frozen=True)
class Model:
    """How models are trained and judged; `window` and `minimum` are None for a snapshot."""

    metric: str
    why_metric: str
    candidates: tuple[Mapping[str, Any], ...]
    margin: str
    why_margin: str
    window: str | None = None
    minimum: str | None = None


def model_of(target: Target, times: Times, rows: int) -> Model:
    """The model for so many rows."""
    metric = metric_of(target)
    blocks = max(1, math.floor(HOLDOUT * (rows if times.grain is Grain.SNAPSHOT else times.partitions)))
    if times.grain is Grain.HOURLY:  # the gate draws whole days
        blocks = max(1, blocks // 24)
    margin = min(_MOST, max(_LEAST, 1 / math.sqrt(blocks)))
    what = (
        "rows" if times.grain is Grain.SNAPSHOT else "days" if times.grain is Grain.HOURLY else "partitions"
    )
    found = Model(
        metric.name,
        metric.usual_why,
        (_LINEAR[target.task], _BOOSTED[target.task]),
        f"{margin:.0%}",
        f"a hold-out of about {blocks:,} {what} shows no smaller difference",
    )
    if times.grain is Grain.SNAPSHOT:
        return found
    window, most = _WINDOWS[times.grain]
    fewest = max(FEWEST - 2, min(most, times.partitions // 2))
    return replace(found, window=window, minimum=f"{fewest} partitions")


def metric_of(target: Target) -> Metric:
    """The metric that a description of the target begins with."""
    if target.task is Task.REGRESSION:
        return usual_metric("numbers")
    if target.is_binary:
        return usual_metric("two classes, one rare" if target.rarest < _RARE else "two classes")
    unbalanced = target.classes[0][1] > _UNBALANCED * target.classes[-1][1]
    return usual_metric("classes, some rare" if unbalanced else "classes")
