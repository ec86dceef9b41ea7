"""What is learnt after the fit of a candidate and stored with it as one estimator.

`evaluated` is completed from the folds alone, so that figures of the hold-out stay honest. Intervals of
`final` may learn from the hold-out as one more fold; calibration and threshold of both are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evergreen.candidates.out_of_fold import OutOfFold, out_of_fold
from evergreen.candidates.tuning import Fit, Trial
from evergreen.decisions.learn import learn
from evergreen.errors import RefusedError
from evergreen.intervals.conformal import ConformalRegressor
from evergreen.metrics.predictions import Predictions
from evergreen.spec import Spec, Task
from evergreen.training_set.assemble import TrainingSet
from evergreen.training_set.sample import Sample


def completed(
    spec: Spec, training_set: TrainingSet, trial: Trial, fit: Fit, *, evaluated: Any, final: Any
) -> tuple[Any, Any]:
    """`evaluated` and `final` with what the description asks for; as they are where it asks for nothing.

    The chosen trial is fit once more for each fold, unless nothing is to be learnt from them. Raises
    `RefusedError` where there are too few rows for intervals or calibration, and `SpecError` for a decision
    that is not between two classes.
    """
    training = spec.training
    if not (spec.intervals or training.calibrate or training.decision):
        return evaluated, final
    if spec.task is Task.CLASSIFICATION:

        def unseen() -> tuple[Predictions, Sample]:
            folds = out_of_fold(spec, training_set, fit, trial)
            return folds.predicted, folds.sample

        learnt = learn(spec, unseen, evaluated)
        return learnt.around(evaluated), learnt.around(final)
    folds = out_of_fold(spec, training_set, fit, trial)
    held = Sample.of(training_set, training_set.holdout)
    whole = folds.followed_by(held, Predictions.of(evaluated, held.features))
    return _with_intervals(spec, evaluated, folds), _with_intervals(spec, final, whole)


def _with_intervals(spec: Spec, model: Any, rows: OutOfFold) -> ConformalRegressor:
    assert rows.sample.target is not None
    try:
        return ConformalRegressor(model, spec.intervals).calibrate(
            np.asarray(rows.predicted.labels, dtype=np.float64),
            rows.sample.target.to_numpy(dtype=np.float64),
            rows.fold,
            rows.sample.weights,
        )
    except RefusedError as error:
        raise RefusedError(f"{spec.name}: {error}") from None
