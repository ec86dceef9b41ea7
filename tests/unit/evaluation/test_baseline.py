from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from evergreen.evaluation.baseline import classification_baseline, clustering_baseline, regression_baseline

KNOWN = pd.Series([1.0, 1.0, 1.0, 9.0])  # median 1, mean 3


def test_absolute_errors_are_held_against_the_median_and_squared_ones_against_the_mean():
    actual = pd.Series([2.0, 4.0])
    assert regression_baseline("mae", KNOWN, actual)["mae"] == pytest.approx((1 + 3) / 2)
    assert regression_baseline("mape", KNOWN, actual)["mape"] == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert regression_baseline("rmse", KNOWN, actual)["rmse"] == pytest.approx(1.0)
    assert regression_baseline("r2", KNOWN, actual)["r2"] == pytest.approx(0.0)


def test_classes_are_held_against_the_commonest():
    known, actual = pd.Series(["a", "a", "a", "b"]), pd.Series(["a", "b"])
    found = classification_baseline(known, actual)
    assert found["accuracy"] == 0.5
    assert found["log_loss"] == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2)


def test_clusters_are_held_against_the_same_ones_dealt_at_random():
    centres = np.repeat([[0.0, 0.0], [9.0, 9.0]], 50, axis=0)
    space = centres + np.random.default_rng(0).normal(size=(100, 2))
    labels = np.repeat([0, 1], 50)
    found = clustering_baseline(space, labels, seed=0)
    assert found == clustering_baseline(space, labels, seed=0)
    assert abs(found["silhouette"]) < 0.1
