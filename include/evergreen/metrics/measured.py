"""Rows and their metrics. A metric that cannot be computed is NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evergreen.json_values import finite_or_none
from evergreen.metrics.classes import ordered_classes
from evergreen.metrics.costs import Costs
from evergreen.metrics.metric import METRICS, metric_named, metrics_of
from evergreen.metrics.part import Part
from evergreen.metrics.rows import Rows
from evergreen.task import Task


@dataclass(frozen=True)
class Measured(Rows):
    """Truth and predictions of n rows, and their metrics, which are NaN without finite rows.

    `left_out` are metrics that `values` does not give, though `value` does.
    """

    left_out: frozenset[str] = frozenset()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The task's metrics; without those of probabilities or costs where there are none."""
        return tuple(
            metric.name
            for metric in metrics_of(self.task)
            if not (metric.of_probabilities and self.probabilities is None)
            and not (metric.of_costs and self.costs is None)
        )

    @cached_property
    def values(self) -> dict[str, float]:
        """Each of the metrics that are not left out; NaN where it cannot be computed."""
        return {name: self.value(name) for name in self.metrics if name not in self.left_out}

    def value(self, name: str) -> float:
        """One metric; NaN where it cannot be computed."""
        return math.nan if self._hindered(name) else float(metric_named(name).value(self))

    def part(self, name: str) -> Part | None:
        """One metric with what is kept of the rows to pool them with others; None where that cannot be."""
        if self._hindered(name):
            return None
        metric = metric_named(name)
        return Part(len(self), finite_or_none(metric.value(self)), metric.kept(self))

    def undefined(self, name: str) -> str | None:
        """In words why a metric has no value; None if it has one."""
        return self._hindered(name) or metric_named(name).undefined(self)

    def taken(self, rows: NDArray[Any]) -> Measured:
        """Some of the rows, a mask (n,) or positions (m,); the classes stay those of all."""
        columns = ("predicted", "actual", "probabilities", "space", "weights")
        parts = {name: getattr(self, name) for name in columns}
        return replace(self, **{name: part[rows] for name, part in parts.items() if part is not None})

    def _hindered(self, name: str) -> str | None:
        """In words why not even the rows let the metric be computed."""
        if not len(self):
            return "no rows"
        if name not in self.metrics:
            of_costs = name in METRICS and METRICS[name].of_costs
            return "the description has no costs" if of_costs else "the model gives no probabilities"
        if self.task is Task.REGRESSION and not np.isfinite(self.predicted).all():
            return "a prediction is not finite"
        if metric_named(name).of_probabilities and not np.isfinite(np.asarray(self.probabilities)).all():
            return "a probability is not finite"
        return None


def measured(
    task: Task,
    y_true: ArrayLike | None,
    predictions: ArrayLike,
    *,
    probabilities: NDArray[np.float64] | None = None,
    classes: Sequence[Any] | None = None,
    positive: Any = None,
    space: NDArray[np.float64] | None = None,
    weights: ArrayLike | None = None,
    costs: Costs | None = None,
    seed: int = 0,
) -> Measured:
    """Truth (n,) and predictions (n,) of a task as rows, to compute metrics.

    `probabilities` (n, number of `classes`) are those of a classifier, and `positive` is the class that the
    description calls so, if any (see `evergreen.metrics.classes`). A clustering has no truth: it is
    measured by the labels in `predictions`, with Euclidean distances in `space` (n, dimensions). `weights`
    (n,) is how much each row counts, in regression and classification, and `costs` those of wrong decisions
    between two classes. `seed` draws the rows of a metric
    that would take too long on all of them.
    """
    counted = None if weights is None else np.asarray(weights, dtype=np.float64)
    predicted = np.asarray(predictions)
    if task is Task.CLUSTERING:
        assert space is not None
        clusters, labels = pd.factorize(predicted, sort=True)
        return Measured(task, clusters, classes=len(labels), space=space, seed=seed)
    actual = np.asarray(y_true)
    if task is Task.REGRESSION:
        return Measured(task, predicted.astype(np.float64), actual.astype(np.float64), weights=counted)
    known = list(classes) if probabilities is not None and classes is not None else []
    (true, of_actual), (guessed, of_predicted) = _coded(actual), _coded(predicted)
    number = {
        label: n for n, label in enumerate(ordered_classes([*known, *of_actual, *of_predicted], positive))
    }
    full = None
    if probabilities is not None and known:
        full = np.zeros((len(actual), len(number)))
        full[:, [number[label] for label in known]] = probabilities
    return Measured(
        task,
        np.array([number[label] for label in of_predicted], dtype=np.intp)[guessed],
        np.array([number[label] for label in of_actual], dtype=np.intp)[true],
        classes=len(number),
        probabilities=full,
        weights=counted,
        names=tuple(number),
        costs=costs,
    )


def _coded(labels: NDArray[Any]) -> tuple[NDArray[np.intp], list[Any]]:
    """Labels (n,) as positions (n,) in the list of those there are."""
    positions, found = pd.factorize(labels, use_na_sentinel=False)
    return positions, found.tolist()


def is_usable(metrics: Mapping[str, float] | None, name: str) -> bool:
    """Whether the metric is there and finite."""
    return metrics is not None and name in metrics and math.isfinite(metrics[name])
