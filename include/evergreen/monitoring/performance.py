"""How well a champion does on rows whose truth is known: as a whole, by slice, and by hold-out partition.

Beside each value stands what is kept of the rows, so that nights can be measured together later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evergreen.errors import SpecError
from evergreen.evaluation.groups import MISSING, text_of
from evergreen.json_values import finite_or_none
from evergreen.metrics.measured import Measured
from evergreen.metrics.predictions import Predictions
from evergreen.scoring.published import ACTUAL, read_published
from evergreen.signals.performance import PERFORMANCE
from evergreen.spec import Spec, Task

OTHER = "(other)"
"""What the values of a column are called together that have no slice of their own."""
MOST_VALUES = 20
"""How many values of a column have a slice of their own."""
FEWEST_ROWS = 5
"""On fewer rows with labels a slice has no error."""


def labelled_rows(
    spec: Spec, predictions: pd.DataFrame, known: NDArray[np.bool_], classes: Sequence[Any] = ()
) -> Measured:
    """The rows that are `known` (mask, n) with their truth, to measure.

    `predictions` (n rows) have `actual` and what `evergreen.scoring.published` names; `classes` are those of
    the model that made them.
    """
    rows = predictions[np.asarray(known)]
    return _beside(spec, rows[ACTUAL].to_numpy(), read_published(spec, rows, classes))


def night_metrics(
    spec: Spec, rows: Measured, promised: Mapping[str, float | None]
) -> dict[str, dict[str, Any]]:
    """By name, of the training metric and the further ones of `monitoring.metrics`: what a record holds.

    `rows` are labelled, `promised` the metrics of the hold-out; see `evergreen.signals.record.Record`.
    """
    return {
        metric.name: {**_part(rows, metric.name), "promised": finite_or_none(promised.get(metric.name))}
        for metric in spec.watched_metrics
    }


def bias_of(rows: Measured) -> float | None:
    """The mean of prediction less actual value over labelled rows, in its unit.

    None where it cannot be computed, and for anything but a regression.
    """
    if rows.task is not Task.REGRESSION or not len(rows):
        return None
    return finite_or_none(float(np.mean(rows.errors)))


def absolute_error_of(rows: Measured) -> float | None:
    """The mean of the absolute difference of prediction and actual value; else as `bias_of`."""
    if rows.task is not Task.REGRESSION or not len(rows):
        return None
    return finite_or_none(float(np.mean(np.abs(rows.errors))))


def slice_errors(
    spec: Spec, rows: pd.DataFrame, labelled: Measured, promised: Mapping[str, Mapping[str, float | None]]
) -> dict[str, dict[str, Any]]:
    """By `column=value` of the columns `monitoring.performance.slices`: how the labelled rows of it do.

    `rows` (n) are the raw ones, in the order of the labelled (n); `promised` is what `promised_slices` gave.
    A slice has `rows`, how many are labelled, the `error` (the training metric), what was `promised`,
    `too_few`: whether they are fewer than 5, which have no error, and the `value` and what is `kept` of them,
    however few, to pool them with other nights. The values that were promised come first, then the most
    frequent, up to 20 of a column; the others are one slice, `column=(other)`. A value without labelled rows
    is left out. Raises `SpecError` for a column that the rows do not have.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, places in _slices(spec, rows, promised):
        part = _part(labelled.taken(places), spec.training.metric)
        too_few = len(places) < FEWEST_ROWS
        found[name] = {
            "rows": len(places),
            "error": None if too_few else part["value"],
            "promised": promised.get(name, {}).get(spec.training.metric),
            "too_few": too_few,
            **part,
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
    name, held = spec.training.metric, _beside(spec, np.asarray(actual), predicted)
    return {
        slice_: {name: None if len(places) < FEWEST_ROWS else finite_or_none(held.taken(places).value(name))}
        for slice_, places in _slices(spec, rows, {})
    }


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


def _beside(spec: Spec, actual: NDArray[Any], predicted: Predictions) -> Measured:
    if spec.task is Task.CLUSTERING:
        return Measured(spec.task, predicted.labels[:0])  # no truth, so nothing to measure
    if (found := predicted.probabilities) is not None:
        # One that is not finite is no probability: it must cost its own group alone, in sums too.
        predicted = replace(predicted, probabilities=np.where(np.isfinite(found), found, np.nan))
    return predicted.beside(spec.task, actual, positive=spec.positive, costs=spec.training.costs)


def _part(rows: Measured, name: str) -> dict[str, Any]:
    part = rows.part(name)
    return {
        "value": None if part is None else part.value,
        "undefined": rows.undefined(name),
        "kept": None if part is None else part.kept,
    }


def _errors(
    spec: Spec, actual: NDArray[Any], predicted: Predictions, groups: NDArray[np.intp], size: int
) -> list[float | None]:
    """The training metric of each group of rows; `groups` (n,) are their numbers, from 0 to `size` - 1."""
    metric, rows = spec.metric, _beside(spec, actual, predicted)
    if not len(rows) or (metric.of_probabilities and rows.probabilities is None):
        return [None] * size
    if metric.pools == "rows":
        return [finite_or_none(rows.taken(groups == group).value(metric.name)) for group in range(size)]
    with np.errstate(invalid="ignore", over="ignore"):  # a prediction that is not finite is no error
        (sums,) = metric.sums(rows, groups, size)
        return [finite_or_none(value) for value in sums.metric(sums.values).tolist()]


def _slices(
    spec: Spec, rows: pd.DataFrame, promised: Collection[str]
) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Each `column=value` there is, and the positions of its rows."""
    for column in PERFORMANCE.of(spec.monitoring).slices:
        if column not in rows:
            there = ", ".join(map(str, rows.columns[:30]))
            raise SpecError(
                f"{spec.folder / 'pipeline.yaml'}: monitoring.performance.slices: the rows have no column "
                f"'{column}': name one of {there}"
            )
        before = f"{column}="
        named = {name.removeprefix(before) for name in promised if name.startswith(before)}
        names, groups = by_value(rows[column], named)
        for number, value in enumerate(names):
            places = np.flatnonzero(groups == number)
            if len(places):
                yield before + value, places


def by_value(column: pd.Series, named: Collection[str]) -> tuple[list[str], NDArray[np.intp]]:
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
