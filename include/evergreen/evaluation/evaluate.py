"""The evaluation: challenger, dummy baseline and champion on rows that were held out. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.evaluation.baseline import classification_baseline, clustering_baseline, regression_baseline
from evergreen.evaluation.metrics import compute
from evergreen.evaluation.space import distance_space
from evergreen.lake import PARTITION
from evergreen.spec import Spec, Task

if TYPE_CHECKING:
    from evergreen.training.dataset import TrainingSet
    from evergreen.training.fit import Challenger


@dataclass(frozen=True)
class Champion:
    """The model in force: its version, what it was trained as of, and the estimator itself."""

    version: str
    as_of: str
    model: Any


@dataclass(frozen=True)
class Evaluation:
    """Metrics by name. `metric` is the one that decides.

    `challenger` and `baseline` are measured on all `rows` of the hold-out; `champion` (`version`, `as_of`,
    `metrics`, and in words the `problem` where it has none) and `challenger_on_champion_rows` on the
    `compared_rows`.
    """

    metric: str
    challenger: dict[str, float]
    baseline: dict[str, float]
    champion: dict[str, Any] | None
    challenger_on_champion_rows: dict[str, float] | None
    rows: int
    compared_rows: int

    @property
    def sentence(self) -> str:
        """The evaluation in plain words."""
        name = self.metric
        text = (
            f"{name} {_number(self.challenger, name)} on {self.rows} hold-out rows, "
            f"dummy baseline {_number(self.baseline, name)}"
        )
        if self.champion is None:
            return f"{text}, no champion yet"
        own, theirs = self.challenger_on_champion_rows, self.champion.get("metrics")
        return (
            f"{text}; {_number(own, name)} against {_number(theirs, name)} of champion "
            f"{self.champion['version']} on the {self.compared_rows} rows they are compared on"
        )

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as JSON values: a number that is not finite becomes null."""
        content: dict[str, Any] = _without_nan(asdict(self))
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Evaluation:
        """The evaluation that `to_dict` wrote."""
        champion = content["champion"]
        return cls(
            metric=content["metric"],
            challenger=_with_nan(content["challenger"]) or {},
            baseline=_with_nan(content["baseline"]) or {},
            champion=champion and {**champion, "metrics": _with_nan(champion.get("metrics"))},
            challenger_on_champion_rows=_with_nan(content["challenger_on_champion_rows"]),
            rows=int(content["rows"]),
            compared_rows=int(content["compared_rows"]),
        )


def evaluate(
    spec: Spec, training_set: TrainingSet, challenger: Challenger, champion: Champion | None
) -> Evaluation:
    """Measure the challenger (fit without the hold-out), the baseline and the champion.

    The champion is compared on the hold-out rows of partitions from its own `as_of` on, which neither model
    was trained on; where there are none (it was trained as of the same partition), on all hold-out rows,
    which it then has the advantage of having seen. For clustering the metrics are those of the labels that
    the models give the hold-out rows, in the space of `evergreen.evaluation.space`.
    """
    held = training_set.holdout
    measured = _Measure(spec, training_set, held)
    own = measured.metrics(challenger.evaluated)
    baseline = measured.baseline(challenger.evaluated)
    if champion is None:
        return Evaluation(spec.training.metric, own, baseline, None, None, int(held.sum()), 0)
    newer = held & (training_set.rows[PARTITION] >= champion.as_of).to_numpy()
    shared = newer if newer.any() else held
    compared = _Measure(spec, training_set, shared)
    metrics = problem = None
    try:
        metrics = compared.metrics(champion.model)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # Trained on other features: the gate then refuses, and says why.
        problem = f"it does not fit today's features: {_line(error)}"
    return Evaluation(
        metric=spec.training.metric,
        challenger=own,
        baseline=baseline,
        champion={
            "version": champion.version,
            "as_of": champion.as_of,
            "metrics": metrics,
            "problem": problem,
        },
        challenger_on_champion_rows=compared.metrics(challenger.evaluated),
        rows=int(held.sum()),
        compared_rows=int(shared.sum()),
    )


def model_metrics(
    spec: Spec,
    model: Any,
    features: pd.DataFrame,
    target: pd.Series | None,
    space: NDArray[np.float64] | None,
) -> dict[str, float]:
    """The task's metrics of a fitted model on these rows; `space` is needed for clustering alone."""
    probabilities = classes = None
    if spec.task is Task.CLASSIFICATION and hasattr(model, "predict_proba"):
        probabilities, classes = model.predict_proba(features), list(model.classes_)
    return compute(
        spec.task,
        target,
        model.predict(features),
        probabilities=probabilities,
        classes=classes,
        space=space,
        seed=spec.training.seed,
    )


class _Measure:
    """Metrics on some rows of a training set."""

    def __init__(self, spec: Spec, training_set: TrainingSet, rows: NDArray[np.bool_]) -> None:
        self._spec = spec
        self._features = training_set.features[rows]
        self._target = training_set.target[rows] if training_set.target is not None else None
        fit_rows = ~training_set.holdout
        self._known = training_set.target[fit_rows] if training_set.target is not None else None
        self._space = (
            distance_space(training_set.features[fit_rows]).transform(self._features)
            if spec.task is Task.CLUSTERING
            else None
        )

    def metrics(self, model: Any) -> dict[str, float]:
        return model_metrics(self._spec, model, self._features, self._target, self._space)

    def baseline(self, model: Any) -> dict[str, float]:
        if self._space is not None:
            labels = np.asarray(model.predict(self._features))
            return clustering_baseline(self._space, labels, self._spec.training.seed)
        assert self._known is not None
        assert self._target is not None
        if self._spec.task is Task.REGRESSION:
            return regression_baseline(self._spec.training.metric, self._known, self._target)
        return classification_baseline(self._known, self._target)


def _number(metrics: Mapping[str, float] | None, name: str) -> str:
    value = (metrics or {}).get(name, math.nan)
    return f"{value:.4g}" if math.isfinite(value) else "unknown"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_nan(metrics: Mapping[str, float | None] | None) -> dict[str, float] | None:
    if metrics is None:
        return None
    return {name: math.nan if value is None else float(value) for name, value in metrics.items()}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
