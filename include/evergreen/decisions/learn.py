"""Calibration and threshold of a classifier, learnt from rows that it was not fit on, and put around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import FixedThresholdClassifier

from evergreen.decisions.calibrated import Calibrated
from evergreen.decisions.threshold import by_costs, by_metric
from evergreen.errors import SpecError
from evergreen.metrics import metric_named
from evergreen.metrics.predictions import Predictions, classes_of
from evergreen.spec import Spec
from evergreen.spec.decision import DecisionRule
from evergreen.spec.positive import positive_of
from evergreen.training_set.sample import Sample

Unseen = Callable[[], tuple[Predictions, Sample]]
"""Gives what was predicted of n rows, and the rows."""


@dataclass(frozen=True)
class Learnt:
    """What is put around a classifier: the maps of `calibrated`, the `threshold` of the `positive` class."""

    calibrated: Calibrated | None = field(repr=False)
    threshold: float | None = None
    positive: Any = None

    def around(self, model: Any) -> Any:
        """A fitted classifier with all of it. Raises `SpecError` for one of other classes."""
        if self.calibrated is not None:
            if list(model.classes_) != list(self.calibrated.classes_):
                raise SpecError(
                    "training.calibrate: the model without the hold-out knows other classes: take more rows"
                )
            found = Calibrated(model, self.calibrated.method)
            found.classes_, found.maps_ = self.calibrated.classes_, self.calibrated.maps_
            model = found
        if self.threshold is None:
            return model
        decided = FixedThresholdClassifier(
            model, threshold=self.threshold, pos_label=self.positive, response_method="predict_proba"
        )
        # What fitting would set: there is nothing to fit.
        decided.estimator_ = model
        if hasattr(model, "feature_names_in_"):
            decided.feature_names_in_ = model.feature_names_in_
        return decided


def learn(spec: Spec, unseen: Unseen, model: Any) -> Learnt:
    """What `training.calibrate` and `training.decision` ask for, for a `model` that is to be completed.

    `unseen` gives predictions of rows by models that were not fit on them; it is not asked where nothing is
    learnt from them. Raises `RefusedError` where a class has too few rows to calibrate by, `SpecError` for a
    model without probabilities, and for a decision among other than two classes.
    """
    training, file = spec.training, spec.folder / "pipeline.yaml"
    rule, key = training.decision, "calibrate" if training.calibrate else "decision"
    if not (classes := classes_of(model)):
        raise SpecError(
            f"{file}: training.{key}: the estimator gives no probabilities: choose another, or leave it out"
        )
    if rule is not None and len(classes) != 2:
        raise SpecError(
            f"{file}: training.decision: the target has {len(classes)} classes, and a threshold is between "
            "two: leave it out"
        )
    if rule is not None and rule.threshold is not None and not training.calibrate:
        return Learnt(None, rule.threshold, classes[positive_of(spec, classes)])
    predicted, rows = unseen()
    assert rows.target is not None
    said, actual, calibrated = predicted.of_classes(classes), rows.target.to_numpy(), None
    if training.calibrate:
        calibrated = Calibrated(model, training.calibrate).calibrate(said, actual, rows.weights)
        said = calibrated.calibrated(said)
    if rule is None:
        return Learnt(calibrated)
    place = positive_of(spec, classes)
    chance, positive = said[:, place], np.asarray(actual == classes[place])
    return Learnt(calibrated, _threshold(rule, chance, positive, rows.weights), classes[place])


def _threshold(
    rule: DecisionRule,
    chance: NDArray[np.float64],
    positive: NDArray[np.bool_],
    weights: NDArray[np.float64] | None,
) -> float:
    if rule.threshold is not None:
        return rule.threshold
    if rule.costs is not None:
        return by_costs(chance, positive, rule.costs, weights).threshold
    return by_metric(chance, positive, metric_named(str(rule.metric)), weights).threshold
