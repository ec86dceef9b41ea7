"""Calibrated probabilities, against scikit-learn's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB

from evergreen.decisions.calibrated import Calibrated
from evergreen.errors import RefusedError
from evergreen.registry.model_file import dump_model, load_model

FOLDS = KFold(5)


def data(classes: int, rows: int = 600, seed: int = 0) -> tuple[pd.DataFrame, Any]:
    draw = np.random.default_rng(seed)
    features = pd.DataFrame(draw.normal(size=(rows, 3)), columns=list("xyz"))
    score = features["x"] + 0.5 * draw.normal(size=rows)
    return features, np.array(list("abc"))[pd.qcut(score, classes, labels=False).to_numpy()]


def fitted(method: Any, features: pd.DataFrame, target: Any) -> Calibrated:
    """The classifier of Bayes, calibrated by five folds."""
    said = cross_val_predict(GaussianNB(), features, target, cv=FOLDS, method="predict_proba")
    model = GaussianNB().fit(features, target)
    return Calibrated(model, method).calibrate(said, target, model.classes_)


@pytest.mark.parametrize("classes", [2, 3])
def test_isotonic_is_as_scikit_learn_has_it(classes: int) -> None:
    features, target = data(classes)
    theirs = CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=FOLDS, ensemble=False)
    theirs.fit(features, target)
    ours = fitted("isotonic", features, target)
    np.testing.assert_allclose(ours.predict_proba(features), theirs.predict_proba(features), atol=1e-12)
    assert (ours.predict(features) == theirs.predict(features)).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_sigmoid_is_as_scikit_learn_has_it_but_for_its_smoothed_labels(classes: int) -> None:
    features, target = data(classes, 4_000)
    theirs = CalibratedClassifierCV(GaussianNB(), method="sigmoid", cv=FOLDS, ensemble=False)
    theirs.fit(features, target)
    ours = fitted("sigmoid", features, target)
    np.testing.assert_allclose(ours.predict_proba(features), theirs.predict_proba(features), atol=0.01)


@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
@pytest.mark.parametrize("classes", [2, 3])
def test_what_is_too_sure_becomes_calibrated(method: Any, classes: int) -> None:
    features, target = data(classes, 2_000)
    unseen, truth = data(classes, 2_000, seed=1)
    forest = RandomForestClassifier(20, max_features=3, random_state=0)
    said = cross_val_predict(forest, features, target, cv=FOLDS, method="predict_proba")
    model = forest.fit(features, target)
    ours = Calibrated(model, method).calibrate(said, target, model.classes_)
    found = ours.predict_proba(unseen)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()
    assert brier(found, truth, ours.classes_) < brier(model.predict_proba(unseen), truth, ours.classes_)


def brier(said: Any, truth: Any, classes: Any) -> float:
    return float(((said - (truth[:, None] == classes[None])) ** 2).sum(axis=1).mean())


def test_a_row_of_weight_two_is_two_rows() -> None:
    features, target = data(2, 200)
    said = cross_val_predict(GaussianNB(), features, target, cv=FOLDS, method="predict_proba")
    model = GaussianNB().fit(features, target)
    for method in ("isotonic", "sigmoid"):
        twice = Calibrated(model, method)
        twice.calibrate(np.vstack([said, said]), np.concatenate([target, target]), model.classes_)
        weighed = Calibrated(model, method).calibrate(said, target, model.classes_, np.full(200, 2.0))
        np.testing.assert_allclose(twice.predict_proba(features), weighed.predict_proba(features), atol=1e-5)


def test_it_is_stored_without_code() -> None:
    features, target = data(3)
    for method in ("isotonic", "sigmoid"):
        ours = fitted(method, features, target)
        again = load_model(dump_model(ours))
        np.testing.assert_array_equal(again.predict_proba(features), ours.predict_proba(features))
        assert list(again.feature_names_in_) == ["x", "y", "z"]


def test_a_class_with_too_few_rows_is_named() -> None:
    features, target = data(2, 100)
    rare = np.where(np.arange(100) < 4, "b", "a")
    model = GaussianNB().fit(features, target)
    with pytest.raises(RefusedError, match=r"calibrate: class 'b' or the rest has 4 rows in the folds"):
        Calibrated(model, "sigmoid").calibrate(np.full((100, 2), 0.5), rare, model.classes_)
