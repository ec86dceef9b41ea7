"""How a rate or a metric of a model differs between groups of rows, the values of a named column."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evergreen.evaluation.groups import Groups
from evergreen.json_values import finite_or_none, number_or_nan
from evergreen.metrics.classes import positive_class
from evergreen.metrics.measured import Measured
from evergreen.metrics.rates import RATES, counts_of
from evergreen.spec import FairnessRule, Spec

if TYPE_CHECKING:
    from evergreen.training_set.assemble import TrainingSet

Taken = Callable[[NDArray[np.intp]], Measured]
"""Some of the held-out rows beside what the challenger predicts of them, given by position."""


@dataclass(frozen=True)
class GroupResult:
    """What is compared, on the rows of one value; NaN where it cannot be computed.

    `judged` is False for a value with too few rows; nothing is computed of it.
    """

    value: str
    rows: int
    judged: bool
    metric: float


@dataclass(frozen=True)
class FairnessResult:
    """One rule of `gate.fairness`: the rate or metric of each group; `metric` is what the rule calls it."""

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
        ends = self._ends
        return math.nan if ends is None else ends[1] - ends[0]

    @property
    def ratio(self) -> float:
        """The smallest value of a judged group over the largest: 1 where all are 0.

        NaN as the difference is, and for values below 0, which have no ratio.
        """
        ends = self._ends
        if ends is None or ends[0] < 0:
            return math.nan
        return ends[0] / ends[1] if ends[1] else 1.0

    @property
    def _ends(self) -> tuple[float, float] | None:
        metrics = [group.metric for group in self.judged]
        if len(metrics) < 2 or not all(map(math.isfinite, metrics)):
            return None
        return min(metrics), max(metrics)

    def holds(self, rule: FairnessRule) -> bool:
        """Whether the groups are as alike as the rule asks for; what cannot be computed is not."""
        near = rule.max_difference is None or self.difference <= rule.max_difference
        return near and (rule.min_ratio is None or self.ratio >= rule.min_ratio)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values: a number that is not finite becomes null."""
        groups = [{**vars(group), "metric": finite_or_none(group.metric)} for group in self.groups]
        spread = {"difference": finite_or_none(self.difference), "ratio": finite_or_none(self.ratio)}
        return {**vars(self), "groups": groups, **spread}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> FairnessResult:
        """The result that `to_dict` wrote."""
        groups = (
            GroupResult(**{**group, "metric": number_or_nan(group["metric"])}) for group in content["groups"]
        )
        return cls(content["column"], content["metric"], tuple(groups))


def measure_fairness(spec: Spec, training_set: TrainingSet, taken: Taken) -> tuple[FairnessResult, ...]:
    """The results of the rules in `gate.fairness`, on the whole hold-out.

    Raises `SpecError` for a column that does not exist, and for a positive class that is none.
    """
    held = training_set.holdout
    return tuple(
        _of_rule(
            spec,
            number,
            Groups.of(spec, training_set, held, f"gate.fairness.{number}.column", rule.column),
            taken,
        )
        for number, rule in enumerate(spec.gate.fairness)
    )


def _of_rule(spec: Spec, number: int, groups: Groups, taken: Taken) -> FairnessResult:
    rule, found = spec.gate.fairness[number], []
    for value, places in groups:
        judged = len(places) >= rule.minimum
        metric = _measured(spec, number, taken(places)) if judged else math.nan
        found.append(GroupResult(value, len(places), judged, metric))
    return FairnessResult(rule.column, rule.measure, tuple(found))


def _measured(spec: Spec, number: int, rows: Measured) -> float:
    rule = spec.gate.fairness[number]
    if rule.rate is None:
        return rows.value(str(rule.metric))
    where = f"{spec.folder / 'pipeline.yaml'}: gate.fairness.{number}.positive"
    return RATES[rule.rate].of(counts_of(rows, positive_class(rows.names, spec.positive_of(rule), where)))
