"""The positive class, in everything that is of one class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from evergreen.errors import SpecError
from evergreen.evaluation.calibration import reliability
from evergreen.evaluation.diagnosis import reliability_curve
from evergreen.metrics.classes import ordered_classes, positive_class
from evergreen.metrics.predictions import Predictions
from evergreen.metrics.rates import RATES, counts_of
from evergreen.monitoring.performance import labelled_rows
from evergreen.scoring.published import published_columns
from evergreen.spec import Spec, Task, parse_spec
from evergreen.training_set.assemble import _check_positive

IRIS = parse_spec(Path(__file__).parents[3] / "include" / "pipelines" / "iris" / "pipeline.yaml")
DRAW = np.random.default_rng(8)
CHANCE = DRAW.random(200)
CLASSES: tuple[tuple[Any, Any], ...] = (("no", "yes"), (0, 1), (False, True))


def rows(classes: tuple[Any, Any]) -> tuple[Any, Predictions]:
    """Truth and predictions of two classes, the second of which has the probability `CHANCE`."""
    draw = np.random.default_rng(1)
    actual = np.array(classes)[(draw.random(200) < CHANCE**2).astype(int)]
    labels = np.array(classes)[(CHANCE > 0.6).astype(int)]
    return actual, Predictions(labels, np.column_stack([1 - CHANCE, CHANCE]), classes)


def positive(name: Any) -> Spec:
    return IRIS.model_copy(update={"positive": name})


@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("place", [0, 1, None])
def test_all_that_is_of_one_class_is_of_the_positive_one(classes: tuple[Any, Any], place: int | None) -> None:
    name = None if place is None else classes[place]
    place = 1 if place is None else place
    actual, made = rows(classes)
    assert made.probabilities is not None
    chance, truth = made.probabilities[:, place], actual == classes[place]
    found = made.beside(Task.CLASSIFICATION, actual, positive=name)
    assert found.value("pr_auc") == pytest.approx(sk.average_precision_score(truth, chance), abs=1e-9)
    assert found.value("roc_auc") == pytest.approx(sk.roc_auc_score(truth, chance), abs=1e-9)
    recall = sk.recall_score(truth, made.labels == classes[place])
    number = positive_class(found.names, name, "here")
    assert RATES["tpr"].of(counts_of(found, number)) == pytest.approx(recall)
    bins = reliability(actual, made, positive=name)
    assert sum(group.predicted * group.weight for group in bins) == pytest.approx(chance.sum())
    assert sum(group.observed * group.weight for group in bins) == pytest.approx(truth.sum())
    curve = reliability_curve(actual, made, None, name)
    assert curve is not None
    assert curve["of"] == str(classes[place])
    spec = positive(name)
    columns = published_columns(spec, made)
    np.testing.assert_array_equal(columns["probability"], chance)
    night = labelled_rows(
        spec, pd.DataFrame({**columns, "actual": actual}), np.ones(200, dtype=bool), classes
    )
    assert night.value("pr_auc") == pytest.approx(found.value("pr_auc"), abs=1e-9)


@pytest.mark.parametrize("metric", ["accuracy", "f1", "recall", "precision", "log_loss", "brier", "roc_auc"])
def test_what_is_of_all_classes_alike_does_not_depend_on_it(metric: str) -> None:
    actual, made = rows(("no", "yes"))
    of = [made.beside(Task.CLASSIFICATION, actual, positive=name).value(metric) for name in ("no", "yes")]
    assert of[0] == pytest.approx(of[1], rel=1e-9)


def test_the_order_of_classes() -> None:
    assert ordered_classes(["b", "a", "b", "c"]) == ["a", "b", "c"]
    assert ordered_classes(["b", "a", "c"], "a") == ["b", "c", "a"]
    assert ordered_classes([0, 1], "0") == [1, 0]
    assert ordered_classes([1, 0], "none of them") == [0, 1]


def test_a_positive_class_that_the_target_does_not_have_is_refused_before_training() -> None:
    target = pd.Series(["yes", "no", "no"])
    with pytest.raises(
        SpecError, match=r"positive: 'maybe' is not a class of the target: name one of no, yes"
    ):
        _check_positive(positive("maybe"), target)
    _check_positive(positive("no"), target)
    _check_positive(positive(None), target)
