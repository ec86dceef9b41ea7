"""From which probability on a row is predicted to be of the positive class."""

from __future__ import annotations

from pydantic import Field, model_validator

from evergreen.description import Described
from evergreen.metrics import METRICS
from evergreen.task import Task


class Costs(Described):
    """What a wrong decision costs, in a unit of the user's own; a right one costs nothing."""

    false_negative: float = Field(gt=0, allow_inf_nan=False)
    false_positive: float = Field(gt=0, allow_inf_nan=False)


class DecisionRule(Described):
    """The threshold of a classification of two classes: one that is written, or one that is tuned.

    It is tuned on cross-validation's folds, for the lowest mean cost of a row or the best value of a metric.
    """

    threshold: float | None = Field(default=None, gt=0, lt=1)
    costs: Costs | None = None
    metric: str | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> DecisionRule:
        if sum(one is not None for one in (self.threshold, self.costs, self.metric)) != 1:
            raise ValueError("give 'threshold', 'costs' or 'metric', one of them")
        if self.metric is not None:
            metric = METRICS.get(self.metric)
            if metric is None or metric.task is not Task.CLASSIFICATION or metric.of_probabilities:
                allowed = [
                    one.name
                    for one in METRICS.values()
                    if one.task is Task.CLASSIFICATION and not one.of_probabilities
                ]
                raise ValueError(f"metric: '{self.metric}' is none of {', '.join(allowed)}")
        return self
