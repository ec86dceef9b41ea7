"""Measuring one scored partition against its champion's reference. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from evergreen.evaluation.metrics import compute
from evergreen.monitoring.drift import FeatureDrift, feature_drift
from evergreen.monitoring.record import Record
from evergreen.monitoring.reference import as_series, finite, level
from evergreen.scoring.predict import ACTUAL, PREDICTION
from evergreen.spec import OF_PROBABILITIES, Spec, Task

PREDICTIONS = "predictions"


def measure(
    spec: Spec,
    reference: Mapping[str, Any],
    features: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    partition: str,
    version: str,
    as_of: str,
    published: Sequence[str],
    model: Any = None,
) -> Record:
    """The monitoring record of a partition.

    `features` (n, d) and `predictions` (n rows with `prediction` and, where there is a target, `actual`) are
    the partition's own rows in one order; `published` are the keys of all published partitions, sorted, and
    those after `partition` are ignored. `as_of` is what the champion `version` was trained as of. `model` is
    needed only for a metric made of probabilities (log_loss, brier, roc_auc, pr_auc). Clustering has no
    performance, only drift.
    """
    drift = _feature_drift(spec, reference["features"], features)
    share = sum(found.drifted for found in drift.values()) / len(drift) if drift else 0.0
    if reference.get(PREDICTIONS):
        values = as_series(spec, predictions[PREDICTION])
        drift[f"({PREDICTIONS})"] = feature_drift(reference[PREDICTIONS], values, spec.monitoring.drift.psi)
    known = _known(spec, predictions)
    actual = predictions[ACTUAL][known] if known.any() else None
    seen = published[: bisect_right(published, partition)]
    return Record(
        partition=partition,
        version=version,
        rows=len(predictions),
        labelled=int(known.sum()),
        metric=spec.training.metric,
        error=None if actual is None else _error(spec, features, predictions, known, model),
        promised=finite(reference["promised"].get(spec.training.metric)),
        level=None if actual is None else level(spec, actual),
        promised_level=finite(reference.get("level")),
        drifted_share=share,
        drift={name: found.to_dict() for name, found in drift.items()},
        age=len(seen) - bisect_left(seen, as_of) if spec.calendar.has_time else 0,
        history=_history(spec, seen, partition),
    )


def needs_model(spec: Spec) -> bool:
    """Whether the training metric is made of probabilities, which published predictions do not hold."""
    return spec.training.metric in OF_PROBABILITIES


def _feature_drift(
    spec: Spec, reference: Mapping[str, Any], features: pd.DataFrame
) -> dict[str, FeatureDrift]:
    limit = spec.monitoring.drift.psi
    return {
        name: feature_drift(counts, features[name], limit)
        for name, counts in reference.items()
        if name in features
    }


def _known(spec: Spec, predictions: pd.DataFrame) -> pd.Series:
    if spec.task is Task.CLUSTERING or ACTUAL not in predictions:
        return pd.Series(False, index=predictions.index)
    return predictions[ACTUAL].notna() & predictions[PREDICTION].notna()


def _error(
    spec: Spec, features: pd.DataFrame, predictions: pd.DataFrame, known: pd.Series, model: Any
) -> float | None:
    probabilities = classes = None
    if needs_model(spec) and hasattr(model, "predict_proba"):
        probabilities, classes = model.predict_proba(features[known.to_numpy()]), list(model.classes_)
    metrics = compute(
        spec.task,
        predictions[ACTUAL][known],
        predictions[PREDICTION][known],
        probabilities=probabilities,
        classes=classes,
    )
    return finite(metrics.get(spec.training.metric))


def _history(spec: Spec, seen: Sequence[str], partition: str) -> int:
    if not spec.calendar.has_time:
        return len(seen)
    start = spec.calendar.back(spec.calendar.shift(partition, 1), spec.training.window)
    return len(seen) - bisect_left(seen, start)
