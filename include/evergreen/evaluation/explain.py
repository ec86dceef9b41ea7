"""What a card shows beside metrics: the challenger's errors, its important features, and its data.

It is computed once, when the version is committed, and stored with it; the card's figures are drawn from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from evergreen.evaluation.contributed import contributed
from evergreen.evaluation.data_window import window_quality
from evergreen.evaluation.diagnosis import cluster_shape, confusion, reliability_curve, residuals
from evergreen.evaluation.held_rows import HeldRows
from evergreen.json_values import finite_or_none
from evergreen.metrics import metric_named
from evergreen.metrics.predictions import Predictions
from evergreen.spec import Spec, Task

if TYPE_CHECKING:
    from evergreen.candidates.fit import Challenger
    from evergreen.evaluation.evaluate import Evaluation
    from evergreen.training_set.assemble import TrainingSet

_DIGITS = 6  # significant digits of the numbers that figures are drawn from
_REPEATS = 5
_DEALS = 100  # permutations in all: fewer repeats where there are many features
_CELLS = 40_000  # rows times permutations: the effort does not grow with the hold-out
_FEWEST_ROWS, _MOST_ROWS = 200, 2_000
_SPACE_ROWS = 400  # a silhouette needs the distance of every pair of rows


def explain(
    spec: Spec, training_set: TrainingSet, challenger: Challenger, evaluation: Evaluation
) -> dict[str, Any]:
    """The explanation of a challenger as JSON values. Deterministic: it runs on a single thread.

    `window` is the data window and its quality, `search` the scores of the tuning trials in the order tried,
    `decision` the curve that the threshold was chosen from in the folds.
    The rest is measured on `rows` rows of the hold-out, at most 5,000 drawn at random: `importance` by
    permutation; `contributions` where the description asks for them; `residuals` for regression; `confusion`,
    of all of the hold-out, and with probabilities `reliability` for classification; `clusters` for
    clustering. What is unknown is None.
    """
    with threadpool_limits(limits=1):
        held = HeldRows.of(spec, training_set, challenger.evaluated)
        content = {
            "metric": evaluation.metric,
            "rows": len(held),
            "window": window_quality(spec, training_set),
            "search": trial_scores(evaluation.metric, challenger.trials),
            "decision": challenger.curve,
            "contributions": contributed(spec, challenger.evaluated, held),
            "importance": importance(spec, challenger.evaluated, held, evaluation.metric),
            **_by_task(spec, held),
            **_confused(spec, training_set, challenger, held),
        }
    plain: dict[str, Any] = _json(content)
    return plain


def trial_scores(metric: str, trials: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The scores of the trials in the order tried, each with the best so far; None where none was scored.

    `candidate` is the number of a trial's estimator among `candidates`, which are in order of appearance; a
    trial that was not scored has None.
    """
    scores = [finite_or_none(trial.get("score")) for trial in trials]
    if all(score is None for score in scores):
        return None
    loss = metric_named(metric).loss
    labels = [str(trial.get("estimator") or "pretrained") for trial in trials]
    candidates = list(dict.fromkeys(labels))
    points: list[dict[str, Any]] = []
    best: float | None = None
    for label, score in zip(labels, scores, strict=True):
        if score is not None:
            best = score if best is None else min(best, score, key=loss)
        points.append({"candidate": candidates.index(label), "score": score, "best": best})
    return {"candidates": candidates, "trials": points}


def importance(spec: Spec, model: Any, held: HeldRows, metric: str) -> dict[str, Any] | None:
    """How much worse the metric gets when a feature's values are permuted among the rows (Breiman 2001).

    `loss` is in the metric's own unit, above 0 is worse; `spread` is its standard deviation over the repeats.
    The largest loss comes first. Features with a single value are left out. None where the metric is not
    finite, or no feature varies.
    """
    names = list(map(str, held.features))
    varying = [name for name in names if held.features[name].nunique(dropna=False) > 1]
    if not varying:
        return None
    repeats = max(1, min(_REPEATS, _DEALS // len(varying)))
    rows = min(_MOST_ROWS, max(_FEWEST_ROWS, _CELLS // (len(varying) * repeats)))
    some = held.some(min(rows, _SPACE_ROWS) if spec.task is Task.CLUSTERING else rows, spec.training.seed)
    own = some.value(spec, metric, some.predictions)
    if not math.isfinite(own):
        return None
    random = np.random.default_rng(spec.training.seed)
    features: list[dict[str, Any]] = []
    for name in varying:
        dealt = [random.permutation(len(some)) for _ in range(repeats)]
        losses = [
            metric_named(metric).loss(some.value(spec, metric, said), own)
            for said in _dealt_anew(model, some.features, name, dealt)
        ]
        features.append({"name": name, "loss": float(np.mean(losses)), "spread": float(np.std(losses))})
    features.sort(key=lambda feature: -feature["loss"] if math.isfinite(feature["loss"]) else math.inf)
    return {"rows": len(some), "repeats": repeats, "features": features}


def _dealt_anew(
    model: Any, features: pd.DataFrame, name: str, dealt: list[NDArray[np.intp]]
) -> list[Predictions]:
    """What the model says with one feature's values in each of the orders, asked in one call."""
    rows = len(features)
    frame = features.iloc[np.tile(np.arange(rows), len(dealt))].reset_index(drop=True)
    frame[name] = features[name].iloc[np.concatenate(dealt)].reset_index(drop=True)
    said = Predictions.of(model, frame)
    return [said.taken(np.arange(rows) + rows * number) for number in range(len(dealt))]


def _by_task(spec: Spec, held: HeldRows) -> dict[str, Any]:
    predictions = held.predictions
    if spec.task is Task.CLUSTERING:
        assert held.space is not None
        return {"clusters": cluster_shape(held.space, predictions.labels, list(map(str, held.features)))}
    assert held.actual is not None
    if spec.task is Task.REGRESSION:
        partitions = held.partitions if spec.calendar.has_time else None
        return {"residuals": residuals(held.actual, predictions.labels, partitions, spec.training.seed)}
    return {
        "reliability": reliability_curve(held.actual, predictions, held.weights, spec.positive),
    }


def _confused(
    spec: Spec, training_set: TrainingSet, challenger: Challenger, held: HeldRows
) -> dict[str, Any]:
    """A wrong decision is rare where it is dear: a sample of the rows would say little of it."""
    if spec.task is not Task.CLASSIFICATION:
        return {}
    assert training_set.target is not None
    rows = training_set.holdout
    if len(held) == rows.sum():
        labels = held.predictions.labels
    else:
        labels = np.asarray(challenger.evaluated.predict(training_set.features[rows]))
    return {"confusion": confusion(training_set.target[rows].to_numpy(), labels)}


def _json(content: Any) -> Any:
    """The content as JSON values: numbers to six digits, null for those that are not finite."""
    if isinstance(content, dict):
        return {str(key): _json(value) for key, value in content.items()}
    if isinstance(content, list | tuple | np.ndarray):
        return [_json(value) for value in content]
    if isinstance(content, bool | np.bool_):
        return bool(content)
    if isinstance(content, int | np.integer):
        return int(content)
    if isinstance(content, float | np.floating):
        return float(f"{content:.{_DIGITS}g}") if math.isfinite(content) else None
    return content if content is None else str(content)
