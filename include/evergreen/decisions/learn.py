"""Calibration and threshold of a classifier, learnt from rows that it was not fit on, and put around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.model_selection import FixedThresholdClassifier

from evergreen.decisions.calibrated import Calibrated
from evergreen.decisions.threshold import Curve, curve_of
from evergreen.errors import SpecError
from evergreen.metrics.predictions import Predictions, classes_of
from evergreen.spec import Spec
from evergreen.spec.positive import positive_of
from evergreen.training_set.sample import Sample

Unseen = Callable[[], tuple[Predictions, Sample]]
"""Gives what was predicted of n rows, and the rows."""


@dataclass(frozen=True)
class Learnt:
    """What is put around a classifier of `classes`: the maps of `calibrated`, the `threshold` of `positive`.

    `curve` is what the threshold was chosen from; None for one that is written.
    """

    classes: tuple[Any, ...]
    calibrated: Calibrated | None = field(default=None, repr=False)
    threshold: float | None = None
    positive: Any = None
    curve: Curve | None = field(default=None, repr=False)

    def around(self, model: Any) -> Any:
        """A fitted classifier with all of it. Raises `SpecError` for one of other classes."""
        if self.calibrated is not None:
            if classes_of(model) != self.classes:
                raise SpecError(
                    "training.calibrate: the model without the hold-out knows other classes: take more rows"
                )
            found = Calibrated(model, self.calibrated.method)
            found.classes_, found.maps_ = np.asarray(model.classes_), self.calibrated.maps_
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

    def decided(self, predicted: Predictions) -> Predictions:
        """What a classifier predicts of n rows, with the classes that its probabilities are decided to be."""
        if self.threshold is None:
            return predicted
        chance = predicted.of_classes(self.classes)
        if self.calibrated is not None:
            chance = self.calibrated.calibrated(chance)
        place = self.classes.index(self.positive)
        labels = np.array([self.classes[1 - place], self.positive])
        return replace(predicted, labels=labels[(chance[:, place] >= self.threshold).astype(np.intp)])


def learn(spec: Spec, unseen: Unseen, model: Any) -> Learnt:
    """What `training.calibrate` and `training.decision` ask for, for a `model` that is to be completed.

    `unseen` gives predictions of rows by models that were not fit on them; it is not asked where nothing is
    learnt from them. Raises as `learn_of`, and `SpecError` for a model without probabilities.
    """
    rule, classes = spec.training.decision, classes_of(model)
    if not classes:
        raise _without_probabilities(spec)
    if rule is None or rule.threshold is None or spec.training.calibrate:
        return learn_of(spec, classes, *unseen())
    check_decision(spec, classes)
    return Learnt(classes, None, rule.threshold, classes[positive_of(spec, classes)])


def learn_of(spec: Spec, classes: Sequence[Any], predicted: Predictions, rows: Sample) -> Learnt:
    """What calibration and decision learn from what was `predicted` of n `rows` that were not fit on.

    `classes` are all of them, sorted. Raises `RefusedError` where a class has too few rows to calibrate by,
    `SpecError` for predictions without probabilities, and for a decision among other than two classes.
    """
    training, classes = spec.training, tuple(classes)
    check_decision(spec, classes)
    if predicted.probabilities is None:
        raise _without_probabilities(spec)
    assert rows.target is not None
    said, actual, calibrated = predicted.of_classes(classes), rows.target.to_numpy(), None
    if training.calibrate:
        calibrated = Calibrated(None, training.calibrate).calibrate(said, actual, classes, rows.weights)
        said = calibrated.calibrated(said)
    if (rule := training.decision) is None:
        return Learnt(classes, calibrated)
    positive = classes[positive_of(spec, classes)]
    if (metric := rule.tuned_by) is None:
        return Learnt(classes, calibrated, rule.threshold, positive)
    chance = said[:, classes.index(positive)]
    curve = curve_of(chance, actual == positive, metric, costs=rule.costs, weights=rows.weights)
    return Learnt(classes, calibrated, curve.threshold, positive, curve)


def check_decision(spec: Spec, classes: Sequence[Any]) -> None:
    """Raise `SpecError` for a decision among other than two classes."""
    if spec.training.decision is not None and len(classes) != 2:
        raise SpecError(
            f"{spec.folder / 'pipeline.yaml'}: training.decision: the target has {len(classes)} classes, and "
            "a threshold is between two: leave it out"
        )


def _without_probabilities(spec: Spec) -> SpecError:
    key = "calibrate" if spec.training.calibrate else "decision"
    return SpecError(
        f"{spec.folder / 'pipeline.yaml'}: training.{key}: the estimator gives no probabilities: choose "
        "another, or leave it out"
    )
