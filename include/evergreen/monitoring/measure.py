"""Measuring one scored partition against its champion's reference. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.drift.binning import Binning, Counts, count_frame
from evergreen.drift.joint import JOINT
from evergreen.json_values import finite_or_none
from evergreen.lake import PARTITION
from evergreen.monitoring.cells import Cells
from evergreen.monitoring.contributions import named
from evergreen.monitoring.coverage import night_coverage
from evergreen.monitoring.drift import FeatureDrift, Sample, drift_of
from evergreen.monitoring.estimate import expected_of
from evergreen.monitoring.fairness import night_fairness
from evergreen.monitoring.performance import (
    absolute_error_of,
    bias_of,
    labelled_rows,
    night_metrics,
    slice_errors,
)
from evergreen.monitoring.promise import promised_before
from evergreen.monitoring.record import WITHOUT_LABELS
from evergreen.monitoring.reference import PREDICTIONS, Reference, as_series, level
from evergreen.monitoring.season import Earlier, against, night_of, rows_like
from evergreen.monitoring.trial import Rival, compared
from evergreen.scoring.published import ACTUAL, CONTRIBUTIONS, PREDICTION, read_published
from evergreen.signals import SIGNALS
from evergreen.signals.drift import DRIFT
from evergreen.signals.performance import PERFORMANCE
from evergreen.signals.record import Record
from evergreen.signals.sequential import widened_spread
from evergreen.spec import Spec, Task

JOINT_ROWS = 30
"""A classifier of domains is asked only where so many training rows are like those of the night."""


def measure(
    spec: Spec,
    reference: Reference,
    rows: pd.DataFrame,
    features: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    partition: str,
    version: str,
    as_of: str,
    published: Sequence[str],
    earlier: Sequence[Record] = (),
    rival: Rival | None = None,
    health: Mapping[str, Any] | None = None,
) -> Record:
    """The monitoring record of a partition.

    `rows`, `features` (n, d) and `predictions` (n rows as they are published, with `actual` where there is a
    target) are the partition's own rows in one order; `published` are the keys of all published partitions,
    sorted. `earlier` are records of partitions before it, sorted: those of the same version pool with it and
    trail it. Of both, what comes after `partition` is ignored. `as_of` is what the champion `version` was
    trained as of. `rival` is the challenger on trial, if there is one. `health` is what
    `evergreen.monitoring.health` gives. Clustering has no performance, only drift.
    """
    where: dict[str, Any] = {"earlier": earlier, "partition": partition, "version": version}
    counts = count_frame(reference.binnings, features)
    drift, held_against = _drift(spec, reference.binnings, reference.cells, counts, **where)
    prediction = {PREDICTIONS: as_series(spec, predictions[PREDICTION])}
    of_predictions: dict[str, FeatureDrift] = {}
    if reference.predictions is not None and reference.prediction_cells is not None:
        made, cells = {PREDICTIONS: reference.predictions}, reference.prediction_cells
        found = count_frame(made, pd.DataFrame(prediction))
        of_predictions, _ = _drift(spec, made, cells, found, **where)
        counts |= found
    of_contributions, found = _contributions(spec, reference, predictions, where)
    counts |= found
    seen = published[: bisect_right(published, partition)]
    return Record(
        partition=partition,
        version=version,
        rows=len(predictions),
        metric=spec.training.metric,
        promised=finite_or_none(reference.promised.get(spec.training.metric)),
        promised_level=finite_or_none(reference.level),
        usual=finite_or_none(fmean(reference.by_partition.values())) if reference.by_partition else None,
        spread=finite_or_none(widened_spread(reference.by_partition.values())),
        estimated=_estimate(spec, reference, predictions),
        **performance(spec, reference, rows, features, predictions, rival=rival),
        drifted_share=sum(one.drifted for one in drift.values()) / len(drift) if drift else 0.0,
        drift={name: one.to_dict() for name, one in drift.items()},
        held_against=held_against if drift else None,
        prediction_drift=next((one.to_dict() for one in of_predictions.values()), None),
        contribution_drift=of_contributions,
        joint=_joint(spec, reference, features, partition),
        counts={name: found.tolist() for name, found in counts.items()},
        health=dict(health or {}),
        before=promised_before(spec, reference.before),
        age=len(seen) - bisect_left(seen, as_of) if spec.calendar.has_time else 0,
        history=_history(spec, seen, partition),
    )


def error_alone(
    spec: Spec,
    predictions: pd.DataFrame,
    *,
    partition: str,
    version: str,
    classes: Sequence[Any] = (),
    levels: Sequence[float] = (),
) -> Record:
    """The record of a partition of which only metrics and coverage are asked; arguments as of `measure`.

    `classes` and `levels` are those of the model.
    """
    known, labelled = _known(spec, predictions), dict(WITHOUT_LABELS)
    if known.any():
        metrics = night_metrics(spec, labelled_rows(spec, predictions, known, classes), {})
        error = metrics[spec.training.metric]["value"]
        labelled |= {"labelled": int(known.sum()), "error": error, "metrics": metrics}
        labelled |= {"coverage": night_coverage(spec, predictions[known], classes, levels)}
    return Record(
        partition=partition,
        version=version,
        rows=len(predictions),
        metric=spec.training.metric,
        **labelled,
        promised=None,
        promised_level=None,
        drifted_share=0.0,
        drift={},
        age=0,
        history=0,
    )


def performance(
    spec: Spec,
    reference: Reference,
    rows: pd.DataFrame,
    features: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    rival: Rival | None = None,
) -> dict[str, Any]:
    """The fields of a record that labels fill in: those of `WITHOUT_LABELS`.

    The arguments are those of `measure`.
    """
    known = _known(spec, predictions)
    if not known.any():
        return dict(WITHOUT_LABELS)
    labelled = labelled_rows(spec, predictions, known, reference.model_classes)
    metrics = night_metrics(spec, labelled, reference.promised)
    return {
        "labelled": int(known.sum()),
        "error": metrics[spec.training.metric]["value"],
        "bias": bias_of(labelled),
        "absolute": absolute_error_of(labelled),
        "level": level(spec, predictions[ACTUAL][known]),
        "metrics": metrics,
        "slices": slice_errors(spec, rows[known], labelled, reference.slices),
        "fairness": night_fairness(spec, [rows[known], features[known]], labelled, reference.classes),
        "coverage": night_coverage(
            spec, predictions[known], reference.model_classes, reference.levels, reference.coverage
        ),
        "trial": compared(spec, rival, features, predictions, known=known, champion=labelled)
        if rival
        else {},
    }


def trial_alone(
    spec: Spec, features: pd.DataFrame, predictions: pd.DataFrame, rival: Rival, classes: Sequence[Any] = ()
) -> dict[str, Any]:
    """A record's `trial` by itself; the arguments are those of `measure`, `classes` those of the champion."""
    known = _known(spec, predictions)
    if not known.any():
        return {}
    champion = labelled_rows(spec, predictions, known, classes)
    return compared(spec, rival, features, predictions, known=known, champion=champion)


def estimates(spec: Spec) -> bool:
    """Whether performance is estimated: of a classification whose labels are late, or where it is asked."""
    asked = any("probabilities" in SIGNALS[name].needs for name in spec.signals)
    return spec.task is Task.CLASSIFICATION and (bool(spec.label_delay) or asked)


def _drift(
    spec: Spec,
    binnings: Mapping[str, Binning],
    cells: Cells,
    counts: Mapping[str, Any],
    *,
    earlier: Sequence[Record],
    partition: str,
    version: str,
) -> tuple[dict[str, FeatureDrift], str]:
    before = Earlier(spec, cells, earlier, partition=partition, version=version)
    night = night_of(spec, cells, partition, cells.flat(counts), before)
    own = cells.by_feature(cells.flat(counts))
    held = against(spec, cells, night, before)
    found = drift_of(
        binnings,
        held.sample,
        night.sample,
        DRIFT.of(spec.monitoring),
        whole=(Sample.pooled([cells.by_feature(cells.counts.sum(axis=0))]), Sample.pooled([own])),
    )
    return {name: one for name, one in found.items() if name in counts}, held.reference


def _contributions(
    spec: Spec, reference: Reference, predictions: pd.DataFrame, where: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Any]], dict[str, Counts]]:
    """The drift of the contributions by feature, with how far their mean `moved`, and their counts."""
    explained = reference.explained
    if explained is None or CONTRIBUTIONS not in predictions:
        return {}, {}
    if (found := explained.counts(predictions[CONTRIBUTIONS])) is None:
        return {}, {}
    counts, moved = found
    drift, _ = _drift(spec, explained.binnings, explained.cells, counts, **where)
    by_feature = {name: drift[named(name)].to_dict() for name in moved if named(name) in drift}
    return {name: {**one, "moved": moved[name]} for name, one in by_feature.items()}, counts


def _joint(spec: Spec, reference: Reference, features: pd.DataFrame, partition: str) -> dict[str, Any] | None:
    limit, sample = DRIFT.of(spec.monitoring).limit(JOINT), reference.sample
    if limit is None or sample is None:
        return None
    alike = sample[rows_like(spec, sample[PARTITION].tolist(), partition)].drop(columns=PARTITION)
    if min(len(alike), len(features)) < JOINT_ROWS:
        return None
    return JOINT.measure(alike, features[list(alike.columns)], limit, spec.training.seed)


def _estimate(spec: Spec, reference: Reference, predictions: pd.DataFrame) -> float | None:
    """The metric that the published probabilities let expect, set right by what it was off on the hold-out.

    None for a model that was further off than the tolerance: its probabilities are not calibrated.
    """
    promised = reference.promised.get(spec.metric.name)
    if not estimates(spec) or promised is None or reference.expected is None:
        return None
    said = read_published(spec, predictions, reference.model_classes)
    off = promised - reference.expected
    if abs(off) > spec.metric.allowance(promised, PERFORMANCE.of(spec.monitoring).tolerance):
        return None
    value = expected_of(spec, said)
    return None if value is None else spec.metric.within(value + off)


def _known(spec: Spec, predictions: pd.DataFrame) -> NDArray[np.bool_]:
    if spec.task is Task.CLUSTERING or ACTUAL not in predictions:
        return np.zeros(len(predictions), dtype=bool)
    return (predictions[ACTUAL].notna() & predictions[PREDICTION].notna()).to_numpy()


def _history(spec: Spec, seen: Sequence[str], partition: str) -> int:
    if not spec.calendar.has_time:
        return len(seen)
    start = spec.calendar.back(spec.calendar.shift(partition, 1), spec.training.window)
    return len(seen) - bisect_left(seen, start)
