"""How the challenger's metric differs between groups of rows, the values of a named column."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evergreen.evaluation.groups import Groups
from evergreen.json_values import finite_or_none, number_or_nan
from evergreen.spec import FairnessRule, Spec

if TYPE_CHECKING:
    from evergreen.training_set.assemble import TrainingSet

Measure = Callable[[NDArray[np.intp], str], float]
"""A metric of the challenger on some of the held-out rows, given by position; NaN where there is none."""


@dataclass(frozen=True)
class GroupResult:
    """The challenger's metric on the hold-out rows of one value; NaN where it cannot be computed.

    `judged` is False for a value with too few rows; its metric is not computed.
    """

    value: str
    rows: int
    judged: bool
    metric: float


@dataclass(frozen=True)
class FairnessResult:
    """One rule of `gate.fairness`: the metric of each group."""

    column: str
    metric: str
    groups: tuple[GroupResult, ...]

    @property
    def judged(self) -> tuple[GroupResult, ...]:
        """The groups of enough rows."""
        return tuple(group for group in self.groups if group.judged)

    @property
    def difference(self) -> float:
        """The largest difference between two judged groups, in the metric's unit.

        NaN with fewer than two, or where a group's metric could not be computed.
        """
        metrics = [group.metric for group in self.judged]
        if len(metrics) < 2 or not all(map(math.isfinite, metrics)):
            return math.nan
        return max(metrics) - min(metrics)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values: a number that is not finite becomes null."""
        groups = [{**vars(group), "metric": finite_or_none(group.metric)} for group in self.groups]
        return {**vars(self), "groups": groups, "difference": finite_or_none(self.difference)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> FairnessResult:
        """The result that `to_dict` wrote."""
        groups = (
            GroupResult(**{**group, "metric": number_or_nan(group["metric"])}) for group in content["groups"]
        )
        return cls(content["column"], content["metric"], tuple(groups))


def measure_fairness(spec: Spec, training_set: TrainingSet, measure: Measure) -> tuple[FairnessResult, ...]:
    """The results of the rules in `gate.fairness`, on the whole hold-out.

    Raises `SpecError` for a column that does not exist.
    """
    held = training_set.holdout
    return tuple(
        _of_rule(
            rule, Groups.of(spec, training_set, held, f"gate.fairness.{number}.column", rule.column), measure
        )
        for number, rule in enumerate(spec.gate.fairness)
    )


def _of_rule(rule: FairnessRule, groups: Groups, measure: Measure) -> FairnessResult:
    found = []
    for value, places in groups:
        judged = len(places) >= rule.minimum
        metric = measure(places, rule.metric) if judged else math.nan
        found.append(GroupResult(value, len(places), judged, metric))
    return FairnessResult(rule.column, rule.metric, tuple(found))
