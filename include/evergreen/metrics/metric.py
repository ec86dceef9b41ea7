"""The definition of a metric, and the registry of all metrics.

A metric object has everything that the project needs of it: training and gate, monitor and policy, cards and
alerts have no tables of metrics. This module and those that define metrics are imported while Airflow parses
DAG files, so numpy and scikit-learn are imported inside functions.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from evergreen.errors import NotFoundError
from evergreen.numbers import percent
from evergreen.task import Task
from evergreen.units import OneOfNames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evergreen.metrics.chances import Chances
    from evergreen.metrics.part import Part
    from evergreen.metrics.rows import Rows
    from evergreen.metrics.sums import Sums

Pools = Literal["mean", "sums", "rows"]
UsualFor = Literal["numbers", "two classes", "two classes, one rare", "classes", "classes, some rare"]


@dataclass(frozen=True, kw_only=True)
class Metric(ABC):
    """One metric of one task.

    `name` is its name in descriptions and `words` its name in sentences. `low` to `high` is the range of
    its values, bounds included; a metric that gives none has no bounds. `of_probabilities`: it needs the
    probabilities of the classes, which labels alone do not give. `of_costs`: it needs the costs of wrong
    decisions, which the description gives. `on_request`: a version is measured by it
    only if its description names it. `best_constant` is what the dummy baseline
    of a regression predicts: the mean, the median, the median weighted by 1 / |target| (`relative median`)
    or a quantile (0 to 1) of the known targets, whichever has the best value. `formula` describes its
    computation, `source` names the reference. `unit` is what a value is of, in words: `a row`. `usual_for`
    is the kind of target that a drafted description begins with it for, and `usual_why` says why.
    """

    name: str
    words: str
    task: Task
    better: Literal["lower", "higher"]
    formula: str
    source: str = ""
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    of_probabilities: bool = False
    of_costs: bool = False
    on_request: bool = False
    best_constant: Literal["mean", "median", "relative median"] | float = "mean"
    usual_for: UsualFor | None = None
    usual_why: str = ""

    of_classes: ClassVar[str] = ""
    """Of a classification, in words which classes it is of; empty if it is of all rows alike."""

    pools: ClassVar[Pools]
    """How the value of several partitions is computed.

    `mean`: it is the mean of the parts' values, weighted by their rows. `sums`: it is a function of sums over
    the parts. `rows`: only all rows together have it; its `sums` are an approximation. In no case but the
    first is it a mean of the parts' values: see `kept` and `pooled`.
    """

    @abstractmethod
    def value(self, rows: Rows) -> float:
        """The metric of at least one row, all finite; NaN where it cannot be computed."""

    @abstractmethod
    def sums(self, rows: Rows, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
        """The sums that the metric is made of, for resampling: it is the mean of their metrics.

        `unit` (n,) is the number of each row's unit, 0 .. `units` - 1. A metric that does not pool by `rows`
        has one of them. Nothing where it cannot be computed.
        """

    def kept(self, rows: Rows) -> Any:
        """What of at least one row, all finite, is kept to pool them with others, as JSON values.

        None if rows and value are enough, or if the metric cannot be pooled.
        """
        return None

    def pooled(self, parts: Sequence[Part]) -> float:
        """The metric of the rows of all parts together; NaN where it cannot be computed.

        The rows of a part count alike. It is the same as `value` of the rows themselves, if what was kept is
        exact (see each metric).
        """
        return math.nan

    def undefined(self, rows: Rows) -> str | None:
        """In words why at least one row, all finite, has no value; None if it has one."""
        return None

    def expectation(self, chances: Chances) -> float | None:
        """Its expected value if the truth is as probable as the model says; None if there is no estimate."""
        return None

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value is better."""
        return self.better == "higher"

    def loss(self, value: float, other: float = 0.0) -> float:
        """How much worse a value is than the other, in the metric's unit; below 0 it is better."""
        return other - value if self.higher_is_better else value - other

    @property
    def with_unit(self) -> str:
        """Its name in front of a value, with its unit where it has one: `cost a row`."""
        return f"{self.name} {self.unit}".strip()

    @property
    def best(self) -> float:
        """The value of a perfect model, which may be infinite."""
        return self.high if self.higher_is_better else self.low

    def allowance(self, value: float, share: float) -> float:
        """What a margin or a tolerance of this share allows, in the metric's unit.

        It is a share of how far the value lies from a perfect model's: of an error that is the error itself,
        of an accuracy what it falls short of 1. A metric without a best value has only the value itself to
        take a share of.
        """
        return share * abs(value - self.best if math.isfinite(self.best) else value)

    def worse_by(self, value: float, other: float) -> float | None:
        """How much worse a value is than another, as a share of the other's distance from a perfect model.

        The share is that of `allowance`: 0.1 is what an allowance of 0.1 just permits. An AUC of 0.78 is 10 %
        worse than one of 0.80, and a mean absolute error of 110 than one of 100. Below 0 it is better. None
        where the other is perfect.
        """
        whole = self.allowance(other, 1)
        return self.loss(value, other) / whole if whole else None

    def share_of(self, whose: str) -> str:
        """What a share of `allowance` is a share of, in words: "the champion's", or its distance from 1."""
        if self.best == 0 or not math.isfinite(self.best):
            return whose
        return f"{whose} distance from {self.best:g}"

    def told_share(self, share: float) -> str:
        """A share of `allowance` in words: `25%`, or `25% of the distance from 1`."""
        whose = self.share_of("the")
        return f"{percent(share)}{'' if whose == 'the' else f' of {whose}'}"

    def within(self, value: float) -> float:
        """The value clipped to the metric's range."""
        return min(max(value, self.low), self.high)


METRICS: dict[str, Metric] = {}
"""Every metric by its name; those of a task are in the order of their definition."""

MetricName = Annotated[str, OneOfNames("a metric", METRICS)]
"""The name of a metric, which is checked with the task."""


def register(metric: Metric) -> Metric:
    """Add a metric to the registry. Raises `ValueError` for a name that is taken."""
    if metric.name in METRICS:
        raise ValueError(f"metric '{metric.name}': the name is taken, choose another")
    METRICS[metric.name] = metric
    return metric


def metric_named(name: str) -> Metric:
    """The metric of a name. Raises `NotFoundError` for an unknown one."""
    if name not in METRICS:
        raise NotFoundError(f"no metric '{name}': there are {', '.join(METRICS)}")
    return METRICS[name]


def metrics_of(task: Task) -> tuple[Metric, ...]:
    """The metrics of a task."""
    return tuple(metric for metric in METRICS.values() if metric.task is task)


def usual_metric(target: UsualFor) -> Metric:
    """The metric that a description of such a target begins with."""
    return next(metric for metric in METRICS.values() if metric.usual_for == target)
