"""A champion's reference: what its training looked like and what it promised. Kept as `reference.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evergreen.contributions.explained import explained
from evergreen.drift.binning import Binning, binning
from evergreen.drift.joint import JOINT
from evergreen.drift.unvaried import binnings_of
from evergreen.errors import IntegrityError
from evergreen.intervals.coverage import Covered, covered_by_partition
from evergreen.json_values import finite_or_none
from evergreen.lake import PARTITION
from evergreen.metrics import Costs
from evergreen.metrics.predictions import Predictions, classes_of, levels_of
from evergreen.monitoring.cells import Cells, count_cells
from evergreen.monitoring.contributions import Explained
from evergreen.monitoring.estimate import expected_of
from evergreen.monitoring.performance import by_partition, promised_slices
from evergreen.monitoring.promise import Predecessor, promised_before, told
from evergreen.signals.drift import DRIFT
from evergreen.spec import Spec, Task

if TYPE_CHECKING:
    from evergreen.candidates.fit import Challenger
    from evergreen.evaluation.evaluate import Evaluation
    from evergreen.registry.registry import Registry
    from evergreen.training_set.assemble import TrainingSet

REFERENCE, ROWS = "reference.json", "reference_rows.parquet"
"""The files of a version that hold it; the second only where it has a sample."""

FORM = 2
"""The form of `reference.json`; it changes when what was written before can no longer be read."""

PREDICTIONS = "(prediction)"
"""What the predictions are called among the features' counts."""

SAMPLE = (
    10_000  # rows kept for a classifier of domains, and explained: some hundred of each weekday of a season
)


@dataclass(frozen=True)
class Reference:
    """What the nights of a champion are held against.

    `binnings` are the features' bins and `cells` the rows of the training window in them, by stretch of time;
    `predictions` and `prediction_cells` the same of the predictions, None where nothing was predicted.
    `promised` are the hold-out metrics of the challenger, each row counting alike as in a night,
    `by_partition` its training metric in each partition of the hold-out ({} for a snapshot), `slices` that by
    `column=value`, and `expected` the one that the challenger's probabilities let expect without labels (None
    where they do not). `classes` are those of a classification, sorted, and `model_classes` those that the
    model gives probabilities of, in their order (none if it gives none); `levels` are those that it gives
    intervals or sets of, and `coverage` what they cover in each partition of the hold-out. `level` is the
    mean absolute target of the hold-out (regression, else None) and `rows` how many the window has. `before`
    is what the champion promised that the version was to replace, None where there was none or its promise
    cannot be read. `costs` are those of wrong decisions that its cost was promised by, None where none were
    described.

    `explained` is what features contributed to the predictions, None where the description does not ask.

    `sample` are at most 10,000 rows of features, with their `partition`, where `monitoring.drift.joint` asks
    for them: they are kept in a file of their own, and so are no part of `to_dict`.
    """

    binnings: dict[str, Binning]
    cells: Cells = field(repr=False)
    predictions: Binning | None
    prediction_cells: Cells | None = field(repr=False)
    promised: dict[str, float | None]
    by_partition: dict[str, float]
    slices: dict[str, dict[str, float | None]]
    level: float | None
    rows: int
    expected: float | None = None
    classes: tuple[Any, ...] = ()
    model_classes: tuple[Any, ...] = ()
    levels: tuple[float, ...] = ()
    coverage: dict[str, tuple[Covered, ...]] = field(default_factory=dict, repr=False)
    before: Predecessor | None = None
    costs: Costs | None = None
    explained: Explained | None = None
    sample: pd.DataFrame | None = field(default=None, repr=False, compare=False)

    def told_worse(self, spec: Spec) -> str:
        """A clause on its promise where that is much worse than the one before it; else empty."""
        return told(spec, self.promised.get(spec.training.metric), promised_before(spec, self.before))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "form": FORM,
            "rows": self.rows,
            "promised": self.promised,
            "expected": self.expected,
            "classes": list(self.classes),
            "model_classes": list(self.model_classes),
            "levels": list(self.levels),
            "coverage": {key: [one.to_dict() for one in found] for key, found in self.coverage.items()},
            "level": self.level,
            "by_partition": self.by_partition,
            "slices": self.slices,
            **({"before": self.before.to_dict()} if self.before else {}),
            **({"costs": self.costs.model_dump()} if self.costs else {}),
            **({"contributions": self.explained.to_dict()} if self.explained else {}),
            "features": {name: made.to_dict() for name, made in self.binnings.items()},
            "cells": self.cells.to_dict(),
            "predictions": self.predictions and self.predictions.to_dict(),
            "prediction_cells": self.prediction_cells and self.prediction_cells.to_dict(),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], sample: pd.DataFrame | None = None) -> Reference:
        """What `to_dict` gave; raises `IntegrityError` for another form, which an older release wrote."""
        if plain.get("form") != FORM:
            raise IntegrityError(
                f"reference.json has form {plain.get('form', 1)} and not {FORM}: train a new version"
            )
        predictions, prediction_cells = plain["predictions"], plain["prediction_cells"]
        before, costs, contributions = plain.get("before"), plain.get("costs"), plain.get("contributions")
        return cls(
            binnings={name: Binning.from_dict(made) for name, made in plain["features"].items()},
            cells=Cells.from_dict(plain["cells"]),
            predictions=predictions and Binning.from_dict(predictions),
            prediction_cells=prediction_cells and Cells.from_dict(prediction_cells),
            promised=plain["promised"],
            by_partition=plain["by_partition"],
            slices=plain["slices"],
            level=plain["level"],
            rows=plain["rows"],
            expected=plain["expected"],
            classes=tuple(plain.get("classes", ())),
            # An older release wrote no classes of the model: they are hardly ever others than all there are.
            model_classes=tuple(plain.get("model_classes", plain.get("classes", ()))),
            levels=tuple(plain.get("levels", ())),
            coverage={
                key: tuple(map(Covered.from_dict, found)) for key, found in plain.get("coverage", {}).items()
            },
            before=before and Predecessor(**before),
            costs=costs and Costs(**costs),
            explained=contributions and Explained.from_dict(contributions),
            sample=sample,
        )


def build_reference(
    spec: Spec,
    training_set: TrainingSet,
    evaluation: Evaluation,
    challenger: Challenger,
    before: Predecessor | None = None,
) -> Reference:
    """The reference of a version, which was to replace the champion `before` it.

    Predictions are those of the hold-out by the model that has not seen it: on rows that it was fit on, a
    model is surer than it will be of any other. Only where there is no time or no target, they are those of
    the final model on all rows.
    """
    held, features, target = training_set.holdout, training_set.features, training_set.target
    rows, keys = training_set.rows, training_set.rows[PARTITION]
    actual = None if target is None else target[held].to_numpy()
    unseen = None if target is None else Predictions.of(challenger.evaluated, features[held])
    if unseen is not None and spec.calendar.has_time:
        predicted, predicted_keys = as_series(spec, unseen.labels), keys[held]
    else:
        predicted, predicted_keys = as_series(spec, challenger.final.predict(features)), keys
    promised: Mapping[str, float] = evaluation.challenger
    if unseen is not None and training_set.weights is not None:
        promised = unseen.beside(
            spec.task,
            actual,
            positive=spec.positive,
            costs=spec.training.costs,
            seed=spec.training.seed,
        ).values
    binnings = binnings_of(features)
    of_predictions = {PREDICTIONS: binning(predicted)}
    return Reference(
        binnings=binnings,
        cells=count_cells(spec.calendar, binnings, features, keys),
        predictions=of_predictions[PREDICTIONS],
        prediction_cells=count_cells(
            spec.calendar, of_predictions, predicted.to_frame(PREDICTIONS), predicted_keys
        ),
        promised={name: finite_or_none(value) for name, value in promised.items()},
        by_partition={} if unseen is None else by_partition(spec, keys[held], actual, unseen),
        slices={} if unseen is None else promised_slices(spec, rows[held], actual, unseen),
        level=None if target is None else level(spec, target[held]),
        rows=len(rows),
        expected=None if unseen is None else expected_of(spec, unseen),
        classes=() if unseen is None else unseen.beside(spec.task, actual, positive=spec.positive).names,
        model_classes=classes_of(challenger.final),
        levels=levels_of(challenger.final),
        coverage=_coverage(keys[held], actual, unseen),
        before=before,
        costs=spec.training.costs,
        explained=_explained(spec, training_set, challenger),
        sample=_sampled(spec, features, keys),
    )


def rows_file(reference: Reference) -> dict[str, bytes]:
    """The sample as the content of its file, by name; nothing where there is none."""
    if reference.sample is None:
        return {}
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    table = pa.Table.from_pandas(reference.sample, preserve_index=False)
    pq.write_table(table, sink, compression="zstd")
    return {ROWS: bytes(sink.getvalue().to_pybytes())}


def read_reference(registry: Registry, version: str) -> Reference:
    """The reference of a committed version.

    Raises `NotFoundError` for an unknown version, `IntegrityError` for a damaged file or one of another form.
    """
    sample = None
    if ROWS in registry.files(version):
        import pyarrow.parquet as pq

        sample = pq.read_table(BytesIO(registry.read(version, ROWS))).to_pandas()
    try:
        return registry.content(version, REFERENCE, lambda plain: Reference.from_dict(plain, sample))
    except IntegrityError as error:
        raise IntegrityError(f"version {version}: {error}") from None


def as_series(spec: Spec, predictions: ArrayLike) -> pd.Series:
    """Predictions as values to count: numbers for regression, otherwise labels."""
    values = pd.Series(np.asarray(predictions))
    return values if spec.task is Task.REGRESSION else values.astype(str)


def level(spec: Spec, actual: pd.Series) -> float | None:
    """Mean absolute value of the known targets, in their unit; None if there are none, or no numbers."""
    if spec.task is not Task.REGRESSION:
        return None
    return finite_or_none(float(actual.astype(float).abs().mean()))


def _coverage(
    partitions: pd.Series, actual: ArrayLike | None, predicted: Predictions | None
) -> dict[str, tuple[Covered, ...]]:
    """Of the model that was fit without the hold-out; a pretrained model may have other levels or none."""
    if actual is None or predicted is None:
        return {}
    return covered_by_partition(partitions, actual, predicted)


def _explained(spec: Spec, training_set: TrainingSet, challenger: Challenger) -> Explained | None:
    """Of rows drawn from those, and by the model, that the reference's predictions are of."""
    if spec.explain is None:
        return None
    model, features, keys = challenger.final, training_set.features, training_set.rows[PARTITION]
    if spec.calendar.has_time:
        held = training_set.holdout
        model, features, keys = challenger.evaluated, features[held], keys[held]
    places = _drawn(spec, len(features))
    features, keys = features.iloc[places], keys.iloc[places]
    found = explained(spec, model, features, Predictions.of(model, features))
    return Explained.of(spec.calendar, found, spec.explain, keys)


def _sampled(spec: Spec, features: pd.DataFrame, keys: pd.Series) -> pd.DataFrame | None:
    if DRIFT.of(spec.monitoring).limit(JOINT) is None:
        return None
    places = _drawn(spec, len(features))
    kept = features.iloc[places].reset_index(drop=True)
    return kept.assign(**{PARTITION: keys.iloc[places].to_numpy()})


def _drawn(spec: Spec, rows: int) -> NDArray[np.intp]:
    """The places of at most `SAMPLE` of so many rows, drawn at random, in their order."""
    places: NDArray[np.intp] = np.arange(rows)
    if rows <= SAMPLE:
        return places
    draw = np.random.default_rng(spec.training.seed)
    return np.sort(draw.choice(places, SAMPLE, replace=False))
