"""The dummy every challenger must beat: what one would say without looking at the features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor

from evergreen.metrics import Costs, Metric
from evergreen.metrics.predictions import Predictions
from evergreen.spec import ChampionRule, Spec, Task

_LEAST = np.finfo(np.float64).eps  # of a target that a relative error is divided by, as scikit-learn has it


def dummy_predictions(
    metric: Metric,
    known: pd.Series,
    weights: NDArray[np.float64] | None,
    rows: int,
    *,
    positive: Any = None,
    costs: Costs | None = None,
) -> Predictions:
    """The predictions of a dummy for `rows` rows, learnt from the targets `known` (m,) and `weights` (m,).

    Regression: the constant that the metric says is best for it (`Metric.best_constant`).
    Classification: always the commonest class, with the shares of the classes; for a metric of `costs` the
    class that is cheaper to say always, where `positive` is the one that the description calls so.
    """
    if metric.task is Task.REGRESSION:
        dummy = _constant(metric.best_constant)
        if metric.best_constant == "relative median":
            # The sum of |y - c| / |y| is least at the median of y weighted by 1 / |y|.
            weights = (1.0 if weights is None else weights) / np.maximum(np.abs(known.to_numpy()), _LEAST)
    else:
        dummy = DummyClassifier(strategy="prior")
    dummy.fit(_blank(len(known)), known, sample_weight=weights)
    found = Predictions.of(dummy, _blank(rows))
    if not metric.of_costs:
        return found

    def loss(name: Any) -> float:
        said = Predictions(np.full(len(known), name))
        beside = said.beside(metric.task, known, positive=positive, costs=costs, weights=weights)
        return metric.loss(beside.value(metric.name))

    commonest_first = sorted(found.classes, key=lambda name: name != found.labels[0])
    return replace(found, labels=np.full(rows, min(commonest_first, key=loss)))


def dealt_at_random(labels: NDArray[Any], seed: int) -> Predictions:
    """The dummy of a clustering: the challenger's own labels (n,) in random order (seeded).

    It has as many clusters of the same sizes but no structure: its silhouette is about 0 or below.
    """
    return Predictions(np.random.default_rng(seed).permutation(labels))


def baseline_rule(spec: Spec, first: bool) -> ChampionRule:
    """The rule of the comparison with the baseline: `gate.champion` without its margin.

    For a `first` champion with half of its error: the losses against a constant are skewed, so the interval
    errs more often than it says, and the order of the predictions is tested as well
    (`evergreen.evaluation.baseline`).
    """
    rule = spec.champion_rule
    confidence = (1 + rule.confidence) / 2 if first else rule.confidence
    return rule.model_copy(update={"margin": 0.0, "confidence": confidence})


def _constant(best: str | float) -> DummyRegressor:
    if isinstance(best, str):
        return DummyRegressor(strategy="mean" if best == "mean" else "median")
    return DummyRegressor(strategy="quantile", quantile=best)


def _blank(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"nothing": np.zeros(rows)})
