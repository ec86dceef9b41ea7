from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.svm import LinearSVC

from evergreen.metrics.predictions import Predictions

FEATURES = pd.DataFrame({"x": [0.0, 1.0, 2.0, 8.0, 9.0, 10.0]})
CLASSES = ["a", "a", "a", "b", "b", "c"]


def test_a_regression_has_labels_alone():
    found = Predictions.of(LinearRegression().fit(FEATURES, FEATURES["x"] * 2), FEATURES)
    assert np.allclose(found.labels, FEATURES["x"] * 2)
    assert found.probabilities is None
    assert found.classes == ()
    assert len(found) == 6


def test_probabilities_come_with_the_classes_they_are_of():
    model = LogisticRegression().fit(FEATURES, CLASSES)
    found = Predictions.of(model, FEATURES)
    assert found.classes == ("a", "b", "c")
    assert np.array_equal(found.probabilities, model.predict_proba(FEATURES))


def test_models_without_probabilities_of_classes_give_labels():
    for model in (
        LinearSVC().fit(FEATURES, CLASSES),
        KMeans(2).fit(FEATURES),
        GaussianMixture(2).fit(FEATURES),
    ):
        assert Predictions.of(model, FEATURES).probabilities is None


def test_rows_are_taken_by_mask_and_by_position():
    whole = Predictions(np.arange(4), np.eye(4), tuple("abcd"))
    for rows in (np.array([False, True, False, True]), np.array([1, 3])):
        some = whole.taken(rows)
        assert some.labels.tolist() == [1, 3]
        assert np.array_equal(some.probabilities, np.eye(4)[[1, 3]])
        assert some.classes == whole.classes
    assert Predictions(np.arange(4)).taken(np.array([0])).probabilities is None
