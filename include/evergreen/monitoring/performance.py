"""How well a champion does on rows whose truth is known: as a whole, by slice, and by hold-out partition.

The metrics are those of `evergreen.evaluation.metrics`, computed for all groups of rows at once: a backtest
measures many small partitions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evergreen.errors import SpecError
from evergreen.evaluation.groups import MISSING, text_of
from evergreen.json_values import finite_or_none
from evergreen.metrics.measured import Measured, measured
from evergreen.metrics.predictions import Predictions
from evergreen.scoring.predict import ACTUAL, PREDICTION
from evergreen.signals.performance import PERFORMANCE
from evergreen.spec import Spec, Task

OTHER = "(other)"
"""What the values of a column are called together that have no slice of their own."""
MOST_VALUES = 20
"""How many values of a column have a slice of their own."""
FEWEST_ROWS = 5
"""On fewer rows with labels a slice has no error."""


def error_of(
    spec: Spec,
    features: pd.DataFrame | None,
    predictions: pd.DataFrame,
    known: NDArray[np.bool_],
    model: Any = None,
) -> float | None:
    """The training metric over the rows that are `known` (mask, n); None where it cannot be computed.

    `predictions` (n rows) have `prediction` and `actual`. `features` (n, d) and `model` are needed only for a
    metric of probabilities, which published predictions do not hold.
    """
    if not np.any(known):
        return None
    actual, predicted = _labelled(spec, features, predictions, known, model)
    return _errors(spec, actual, predicted, np.zeros(len(actual), dtype=np.intp), 1)[0]


def bias_of(spec: Spec, predictions: pd.DataFrame, known: NDArray[np.bool_]) -> float | None:
    """The mean of prediction less actual value over the rows that are `known` (mask, n), in its unit.

    None where it cannot be computed, and for anything but a regression.
    """
    if spec.task is not Task.REGRESSION or not np.any(known):
        return None
    predicted, actual = (predictions[name].to_numpy(float)[known] for name in (PREDICTION, ACTUAL))
    return finite_or_none(float(np.mean(predicted - actual)))


def slice_errors(
    spec: Spec,
    rows: pd.DataFrame,
    predictions: pd.DataFrame,
    known: NDArray[np.bool_],
    promised: Mapping[str, Mapping[str, float | None]],
    *,
    features: pd.DataFrame | None = None,
    model: Any = None,
) -> dict[str, dict[str, Any]]:
    """By `column=value` of the columns `monitoring.performance.slices`: how the known rows of it do.

    `rows` (n) are the raw ones, in the order of the predictions; `promised` is what `promised_slices` gave.
    A slice has `rows`, how many are known, the `error` (the training metric), what was `promised`, and
    `too_few`: whether they are fewer than 5, which have no error. The values that were promised come first,
    then the most frequent, up to 20 of a column; the others are one slice, `column=(other)`. A value without
    known rows is left out. Raises `SpecError` for a column that the rows do not have.
    """
    if not PERFORMANCE.of(spec.monitoring).slices or not np.any(known):
        return {}
    actual, predicted = _labelled(spec, features, predictions, known, model)
    found: dict[str, dict[str, Any]] = {}
    for name, count, error in _slices(spec, rows[np.asarray(known)], actual, predicted, promised):
        found[name] = {
            "rows": count,
            "error": error,
            "promised": promised.get(name, {}).get(spec.training.metric),
            "too_few": count < FEWEST_ROWS,
        }
    return found


def promised_slices(
    spec: Spec, rows: pd.DataFrame, actual: ArrayLike | None, predicted: Predictions
) -> dict[str, dict[str, float | None]]:
    """By `column=value` of the columns `monitoring.performance.slices`: the training metric of the hold-out.

    `rows` (n) are the raw ones held out, `actual` (n,) their truth, `predicted` what the challenger says of
    them. The value is None on fewer than 5 rows. Raises `SpecError` for a column that the rows do not have.
    """
    if actual is None:
        return {}
    measured_slices = _slices(spec, rows, np.asarray(actual), predicted, {})
    return {name: {spec.training.metric: error} for name, _, error in measured_slices}


def by_partition(
    spec: Spec, partitions: ArrayLike, actual: ArrayLike | None, predicted: Predictions
) -> dict[str, float]:
    """The training metric of each partition of the hold-out, by key, oldest first.

    `partitions` (n,) are the keys of the rows, `actual` (n,) their truth, `predicted` what the challenger
    says of them. A partition whose metric is undefined is left out; a snapshot and clustering have none.
    """
    if actual is None or not spec.calendar.has_time:
        return {}
    codes, keys = pd.factorize(np.asarray(partitions, dtype=object), sort=True)
    errors = _errors(spec, np.asarray(actual), predicted, codes, len(keys))
    return {str(key): error for key, error in zip(keys, errors, strict=True) if error is not None}


def _labelled(
    spec: Spec,
    features: pd.DataFrame | None,
    predictions: pd.DataFrame,
    known: NDArray[np.bool_],
    model: Any,
) -> tuple[NDArray[Any], Predictions]:
    """Truth and predictions of the known rows, with probabilities where the metric is made of them."""
    mask = np.asarray(known)
    actual = predictions[ACTUAL].to_numpy()[mask]
    labels = predictions[PREDICTION].to_numpy()[mask]
    wanted = spec.metric.of_probabilities and hasattr(model, "predict_proba")
    if not wanted or features is None:
        return actual, Predictions(labels)
    probabilities = np.asarray(model.predict_proba(features[mask]), dtype=np.float64)
    return actual, Predictions(labels, probabilities, tuple(np.asarray(model.classes_).tolist()))


def _errors(
    spec: Spec, actual: NDArray[Any], predicted: Predictions, groups: NDArray[np.intp], size: int
) -> list[float | None]:
    """The training metric of each group of rows; `groups` (n,) are their numbers, from 0 to `size` - 1."""
    metric, probabilities = spec.metric, predicted.probabilities
    if spec.task is Task.CLUSTERING or (metric.of_probabilities and probabilities is None):
        return [None] * size
    if probabilities is not None:
        probabilities = np.where(np.isfinite(probabilities), probabilities, np.nan)
    rows = measured(
        spec.task, actual, predicted.labels, probabilities=probabilities, classes=predicted.classes
    )
    if metric.pools == "rows":
        return [finite_or_none(_taken(rows, groups == group).value(metric.name)) for group in range(size)]
    with np.errstate(invalid="ignore", over="ignore"):  # a prediction that is not finite is no error
        (sums,) = metric.sums(rows, groups, size)
        return [finite_or_none(value) for value in sums.metric(sums.values).tolist()]


def _taken(rows: Measured, mask: NDArray[np.bool_]) -> Measured:
    """Some of the rows; the classes stay those of all."""
    assert rows.actual is not None
    return replace(
        rows,
        predicted=rows.predicted[mask],
        actual=rows.actual[mask],
        probabilities=None if rows.probabilities is None else rows.probabilities[mask],
    )


def _slices(
    spec: Spec,
    rows: pd.DataFrame,
    actual: NDArray[Any],
    predicted: Predictions,
    promised: Collection[str],
) -> Iterator[tuple[str, int, float | None]]:
    """Each `column=value` there is, how many rows it has, and its training metric, None on too few."""
    for column in PERFORMANCE.of(spec.monitoring).slices:
        if column not in rows:
            there = ", ".join(map(str, rows.columns[:30]))
            raise SpecError(
                f"{spec.folder / 'pipeline.yaml'}: monitoring.performance.slices: the rows have no column "
                f"'{column}': name one of {there}"
            )
        before = f"{column}="
        named = {name.removeprefix(before) for name in promised if name.startswith(before)}
        names, groups = _by_value(rows[column], named)
        counts = np.bincount(groups, minlength=len(names)).tolist()
        errors = _errors(spec, actual, predicted, groups, len(names))
        for value, count, error in zip(names, counts, errors, strict=True):
            if count:
                yield before + value, count, error if count >= FEWEST_ROWS else None


def _by_value(column: pd.Series, named: Collection[str]) -> tuple[list[str], NDArray[np.intp]]:
    """The values that have a slice, those named and the most frequent, and the slice of each row (n,)."""
    codes, unique = pd.factorize(column)
    text, texts = pd.factorize(np.array([MISSING, *map(text_of, unique)], dtype=object))
    values = text[codes + 1]  # a missing value has the code -1
    counts = np.bincount(values, minlength=len(texts))
    order = sorted(
        np.flatnonzero(counts).tolist(), key=lambda n: (texts[n] not in named, -counts[n], texts[n])
    )
    own = [number for number in order if texts[number] != OTHER][:MOST_VALUES]
    slots = np.full(len(texts), len(own), dtype=np.intp)
    slots[own] = np.arange(len(own))
    return [*(str(texts[number]) for number in own), OTHER], slots[values]
