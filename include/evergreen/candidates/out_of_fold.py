"""Predictions of rows by models that were not fit on them: what all is tuned by that follows a prediction.

Calibration, thresholds and intervals are learnt from how a candidate errs. On the rows that it was fit on a
model errs less than on any other, so they are learnt from cross-validation.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evergreen.candidates.tuning import Fit, Trial
from evergreen.lake import PARTITION
from evergreen.metrics.predictions import Predictions
from evergreen.spec import Spec
from evergreen.training_set.assemble import TrainingSet
from evergreen.training_set.folds import folds_of, groups_of
from evergreen.training_set.sample import Sample


@dataclass(frozen=True)
class OutOfFold:
    """n rows as a `sample`, what models that were not fit on them `predicted`, and the `fold` (n,) of each.

    A fold is a number from 0; with time they follow one another, the oldest first. Rows before the first fold
    of a pipeline with time are not among them.
    """

    sample: Sample = field(repr=False)
    predicted: Predictions = field(repr=False)
    fold: NDArray[np.intp] = field(repr=False)

    def __len__(self) -> int:
        return len(self.fold)

    def followed_by(self, sample: Sample, predicted: Predictions) -> OutOfFold:
        """These rows and further ones, such as the hold-out, as one more fold."""
        after = int(self.fold.max(initial=-1)) + 1
        return OutOfFold(
            Sample.joined([self.sample, sample]),
            Predictions.joined([self.predicted, predicted]),
            np.append(self.fold, np.full(len(predicted), after, dtype=np.intp)),
        )


def out_of_fold(spec: Spec, training_set: TrainingSet, fit: Fit, trial: Trial) -> OutOfFold:
    """A trial's predictions of the rows that are not held out, in the folds that candidates are compared in.

    The trial is fit once for each fold. Raises `NothingToDoError` where there are not even two folds, and
    `SpecError` where it cannot be fit.
    """
    known = ~training_set.holdout
    sample, rows = Sample.of(training_set, known), training_set.rows[known]
    folds = folds_of(spec, rows[PARTITION], sample.target, groups_of(spec, rows))
    predicted = [
        Predictions.of(fit(spec, trial, sample.taken(before)), sample.taken(unseen).features)
        for before, unseen in folds
    ]
    sizes = [len(unseen) for _, unseen in folds]
    return OutOfFold(
        sample.taken(np.concatenate([unseen for _, unseen in folds])),
        Predictions.joined(predicted),
        np.repeat(np.arange(len(folds), dtype=np.intp), sizes),
    )
