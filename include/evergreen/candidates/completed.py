"""What is learnt after the fit of a candidate and stored with it as one estimator.

`evaluated` is completed from the folds alone, so that figures of the hold-out stay honest. Intervals and sets
of `final` may learn from the hold-out as one more fold; calibration and threshold of both are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from evergreen.candidates.out_of_fold import OutOfFold, out_of_fold
from evergreen.candidates.tuning import Fit, Trial
from evergreen.decisions.learn import learn
from evergreen.decisions.threshold import Curve
from evergreen.errors import RefusedError, SpecError
from evergreen.intervals.conformal import ConformalRegressor
from evergreen.intervals.sets import ConformalClassifier
from evergreen.metrics.predictions import Predictions, classes_of
from evergreen.spec import Spec
from evergreen.training_set.assemble import TrainingSet
from evergreen.training_set.sample import Sample


@dataclass(frozen=True)
class Completed:
    """Both models with what the description asks for, and the curve that a threshold was chosen from."""

    evaluated: Any = field(repr=False)
    final: Any = field(repr=False)
    curve: Curve | None = None


def completed(
    spec: Spec, training_set: TrainingSet, trial: Trial, fit: Fit, *, evaluated: Any, final: Any
) -> Completed:
    """`evaluated` and `final` with what the description asks for; as they are where it asks for nothing.

    The chosen trial is fit once more for each fold, unless nothing is to be learnt from them. Raises
    `RefusedError` where there are too few rows for intervals, sets or calibration, and `SpecError` for a
    decision that is not between two classes, and for sets of a model without probabilities.
    """

    @cache
    def folds() -> OutOfFold:
        return out_of_fold(spec, training_set, fit, trial)

    @cache
    def whole() -> OutOfFold:
        held = Sample.of(training_set, training_set.holdout)
        return folds().followed_by(held, Predictions.of(evaluated, held.features))

    if spec.intervals:
        levels = spec.intervals.levels
        return Completed(
            _with_intervals(spec, levels, evaluated, folds()),
            _with_intervals(spec, levels, final, whole()),
        )
    training, both = spec.training, Completed(evaluated, final)
    if training.calibrate or training.decision:
        learnt = learn(spec, lambda: (folds().predicted, folds().sample), evaluated)
        both = Completed(learnt.around(evaluated), learnt.around(final), learnt.curve)
    if spec.sets:
        sets = _with_sets(spec, both.evaluated, folds()), _with_sets(spec, both.final, whole())
        return Completed(*sets, both.curve)
    return both


def _with_intervals(spec: Spec, levels: tuple[float, ...], model: Any, rows: OutOfFold) -> ConformalRegressor:
    assert rows.sample.target is not None
    with _named(spec):
        return ConformalRegressor(model, levels).calibrate(
            np.asarray(rows.predicted.labels, dtype=np.float64),
            rows.sample.target.to_numpy(dtype=np.float64),
            rows.fold,
            rows.sample.weights,
        )


def _with_sets(spec: Spec, model: Any, rows: OutOfFold) -> ConformalClassifier:
    """A row whose class the model of its fold did not know says nothing of a model that knows it."""
    if not (classes := classes_of(model)):
        raise SpecError(
            f"{spec.folder / 'pipeline.yaml'}: sets: the estimator gives no probabilities: choose another, "
            "or leave it out"
        )
    assert rows.sample.target is not None
    weights = rows.sample.weights
    with _named(spec):
        return ConformalClassifier(model, spec.sets).calibrate(
            rows.predicted.of_classes(classes)[rows.known],
            rows.sample.target.to_numpy()[rows.known],
            None if weights is None else weights[rows.known],
        )


@contextmanager
def _named(spec: Spec) -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        raise RefusedError(f"{spec.name}: {error}") from None
