"""From which probability on a row is predicted to be of the positive class."""

from __future__ import annotations

from pydantic import Field, model_validator

from evergreen.description import Described
from evergreen.metrics import COST, METRICS, Costs, Metric, MetricName, metric_named
from evergreen.task import Task


class DecisionRule(Described):
    """The threshold of a classification of two classes: one that is written, or one that is tuned.

    It is tuned on cross-validation's folds, for the lowest mean cost of a row or the best value of a metric.
    """

    threshold: float | None = Field(default=None, gt=0, lt=1)
    """The probability from which on a row is predicted to be of the positive class. Example: 0.3"""
    costs: Costs | None = None
    metric: MetricName | None = None
    """The metric whose value is best at the threshold. Example: f1"""

    @model_validator(mode="after")
    def _one_of_them(self) -> DecisionRule:
        if sum(one is not None for one in (self.threshold, self.costs, self.metric)) != 1:
            raise ValueError("give 'threshold', 'costs' or 'metric', one of them")
        if self.metric is None:
            return self
        if self.metric == COST.name:
            raise ValueError(f"metric: '{COST.name}' is decided by 'costs': write them in place of 'metric'")
        allowed = [
            one.name for one in METRICS.values() if one.task is Task.CLASSIFICATION and _of_labels(one)
        ]
        if self.metric not in allowed:
            raise ValueError(f"metric: '{self.metric}' is none of {', '.join(allowed)}")
        return self

    @property
    def tuned_by(self) -> Metric | None:
        """The metric that is best at the threshold in the folds; None for a threshold that is written."""
        if self.costs is not None:
            return COST
        return None if self.metric is None else metric_named(self.metric)


def _of_labels(metric: Metric) -> bool:
    return not (metric.of_probabilities or metric.of_costs)
