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
    of a pipeline with time are not among them. `known` (n,) says whether the model of a row's fold knows the
    row's class; it does where there are no probabilities of classes.
    """

    sample: Sample = field(repr=False)
    predicted: Predictions = field(repr=False)
    fold: NDArray[np.intp] = field(repr=False)
    known: NDArray[np.bool_] = field(repr=False)

    def __len__(self) -> int:
        return len(self.fold)

    def followed_by(self, sample: Sample, predicted: Predictions) -> OutOfFold:
        """These rows and further ones, such as the hold-out, as one more fold."""
        after = int(self.fold.max(initial=-1)) + 1
        return OutOfFold(
            Sample.joined([self.sample, sample]),
            Predictions.joined([self.predicted, predicted]),
            np.append(self.fold, np.full(len(predicted), after, dtype=np.intp)),
            np.append(self.known, _known(sample, predicted)),
        )


def out_of_fold(spec: Spec, training_set: TrainingSet, fit: Fit, trial: Trial) -> OutOfFold:
    """A trial's predictions of the rows that are not held out, in the folds that candidates are compared in.

    The trial is fit once for each fold. Raises `NothingToDoError` where there are not even two folds, and
    `SpecError` where it cannot be fit.
    """
    known = ~training_set.holdout
    sample, rows = Sample.of(training_set, known), training_set.rows[known]
    folds = folds_of(spec, rows[PARTITION], sample.target, groups_of(spec, rows))
    unseen = [sample.taken(places) for _, places in folds]
    predicted = [
        Predictions.of(fit(spec, trial, sample.taken(before)), part.features)
        for (before, _), part in zip(folds, unseen, strict=True)
    ]
    return OutOfFold(
        sample.taken(np.concatenate([places for _, places in folds])),
        Predictions.joined(predicted),
        np.repeat(np.arange(len(folds), dtype=np.intp), list(map(len, predicted))),
        np.concatenate([_known(*pair) for pair in zip(unseen, predicted, strict=True)]),
    )


def _known(sample: Sample, predicted: Predictions) -> NDArray[np.bool_]:
    if sample.target is None or not predicted.classes:
        return np.ones(len(predicted), dtype=bool)
    return sample.target.isin(predicted.classes).to_numpy(dtype=bool)
