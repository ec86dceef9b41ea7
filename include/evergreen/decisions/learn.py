"""Calibration and threshold of a classifier, learnt from rows that it was not fit on, and put around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import FixedThresholdClassifier

from evergreen.decisions.calibrated import Calibrated
from evergreen.decisions.threshold import Curve, by_costs, by_metric
from evergreen.errors import SpecError
from evergreen.metrics import metric_named
from evergreen.metrics.classes import positive_class
from evergreen.metrics.predictions import Predictions
from evergreen.spec import Spec
from evergreen.training_set.sample import Sample


@dataclass(frozen=True)
class Learnt:
    """What is put around a classifier: the maps of `calibrated`, and the `threshold` to predict `positive`.

    `curve` is what the thresholds would have given on the folds; None for one that is written.
    """

    calibrated: Calibrated | None = field(repr=False)
    threshold: float | None = None
    positive: Any = None
    curve: Curve | None = field(default=None, repr=False)

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


def learn(spec: Spec, predicted: Predictions, rows: Sample, model: Any) -> Learnt:
    """What `training.calibrate` and `training.decision` ask for.

    `predicted` are n `rows` by models that were not fit on them; `model` is the one to be completed. Raises
    `RefusedError` where a class has too few rows to calibrate by, `SpecError` for a model without
    probabilities, and for a decision among other than two classes.
    """
    training, where = spec.training, f"{spec.folder / 'pipeline.yaml'}: training"
    key = "calibrate" if training.calibrate else "decision"
    if predicted.probabilities is None or not hasattr(model, "predict_proba"):
        raise SpecError(
            f"{where}.{key}: the estimator gives no probabilities: choose another, or leave it out"
        )
    assert rows.target is not None
    classes = tuple(np.asarray(model.classes_).tolist())
    said, actual = _of_classes(predicted, classes), rows.target.to_numpy()
    calibrated = None
    if training.calibrate:
        calibrated = Calibrated(model, training.calibrate).calibrate(said, actual, rows.weights)
        said = calibrated.calibrated(said)
    if training.decision is None:
        return Learnt(calibrated)
    if len(classes) != 2:
        raise SpecError(
            f"{where}.decision: the target has {len(classes)} classes, and a threshold is between two: leave "
            "it out"
        )
    place = positive_class(classes, spec.positive, f"{spec.folder / 'pipeline.yaml'}: positive")
    rule, positive = training.decision, classes[place]
    if rule.threshold is not None:
        return Learnt(calibrated, rule.threshold, positive)
    given = (said[:, place], np.asarray(actual == positive))
    if rule.costs is not None:
        curve = by_costs(*given, rule.costs, rows.weights)
    else:
        curve = by_metric(*given, metric_named(str(rule.metric)), rows.weights)
    return Learnt(calibrated, curve.threshold, positive, curve)


def _of_classes(said: Predictions, classes: tuple[Any, ...]) -> NDArray[np.float64]:
    """The probabilities (n, k) of these classes; 0 of one that no model of a fold knew."""
    assert said.probabilities is not None
    found = np.zeros((len(said), len(classes)))
    for number, name in enumerate(classes):
        if name in said.classes:
            found[:, number] = said.probabilities[:, said.classes.index(name)]
    return found
