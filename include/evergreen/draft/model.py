"""Metric, candidates, gate and windows by the task and by how much data there is. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from evergreen.calendar.drafted import DRAFTS, FEWEST, UNTIMED
from evergreen.draft.target import Target
from evergreen.draft.times import Times
from evergreen.metrics import Metric, usual_metric
from evergreen.task import Task

HOLDOUT = 0.2

_RARE = 0.1  # below this share of positives the area under ROC says little of them
_UNBALANCED = 3.0  # the most frequent class has so many times more rows than the rarest
_LEAST, _MOST = 0.02, 0.3  # the gate's margin
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
    unit = times.grain.facts.unit  # of partitions that the gate draws together
    counted = rows if times.grain is UNTIMED else times.partitions
    blocks = max(1, max(1, math.floor(HOLDOUT * counted)) // unit)
    what = "rows" if times.grain is UNTIMED else "partitions" if unit == 1 else "days"
    margin = min(_MOST, max(_LEAST, 1 / math.sqrt(blocks)))
    found = Model(
        metric.name,
        metric.usual_why,
        (_LINEAR[target.task], _BOOSTED[target.task]),
        f"{margin:.0%}",
        f"a hold-out of about {blocks:,} {what} shows no smaller difference",
    )
    if times.grain is UNTIMED:
        return found
    draft = DRAFTS[times.grain]
    fewest = max(FEWEST - 2, min(draft.waits_for, times.partitions // 2))
    return replace(found, window=draft.window, minimum=f"{fewest} partitions")


def metric_of(target: Target) -> Metric:
    """The metric that a description of the target begins with."""
    if target.task is Task.REGRESSION:
        return usual_metric("numbers")
    if target.is_binary:
        return usual_metric("two classes, one rare" if target.rarest < _RARE else "two classes")
    unbalanced = target.classes[0][1] > _UNBALANCED * target.classes[-1][1]
    return usual_metric("classes, some rare" if unbalanced else "classes")
