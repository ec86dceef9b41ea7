from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from evergreen.errors import IntegrityError
from evergreen.registry.model_file import dump_model, load_model

RANDOM = np.random.default_rng(0)
X = pd.DataFrame(RANDOM.normal(size=(120, 3)), columns=["a", "b", "c"])
AMOUNT = np.exp(X["a"])
KIND = pd.Series(np.where(X["a"] > 0, "high", "low"))


def on_log(estimator: Any) -> Any:
    return TransformedTargetRegressor(estimator, func=np.log1p, inverse_func=np.expm1)


MODELS = {
    "boosting": (HistGradientBoostingRegressor(max_iter=5), AMOUNT),
    "boosting on log": (on_log(HistGradientBoostingRegressor(max_iter=5)), AMOUNT),
    "boosting of classes": (HistGradientBoostingClassifier(max_iter=5), KIND),
    "ridge": (make_pipeline(SimpleImputer(), StandardScaler(), on_log(Ridge())), AMOUNT),
    "logistic": (make_pipeline(StandardScaler(), LogisticRegression()), KIND),
    "k-means": (make_pipeline(StandardScaler(), KMeans(3, random_state=0)), None),
    "forest": (RandomForestRegressor(5, random_state=0), AMOUNT),
    "forest of classes": (RandomForestClassifier(5, random_state=0), KIND),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_predicts_the_same_after_storage(name: str):
    estimator, target = MODELS[name]
    estimator.fit(X, target)
    np.testing.assert_array_equal(load_model(dump_model(estimator)).predict(X), estimator.predict(X))


def test_a_type_that_is_not_reviewed_is_refused_when_it_is_stored():
    with pytest.raises(IntegrityError, match=r"cannot be stored: it holds .*KDTree.*trusted_types\.py"):
        dump_model(KNeighborsRegressor(algorithm="kd_tree").fit(X, AMOUNT))


def test_code_in_a_model_file_is_refused_and_not_run(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    model = FunctionTransformer(os.system, kw_args={"command": "touch ran"})
    with pytest.raises(IntegrityError, match=r"is not loaded: it holds posix\.system"):
        load_model(skops.io.dumps(model))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("data", [b"", b"no archive", b"\x80\x04N."], ids=["empty", "text", "pickle"])
def test_what_is_no_model_file_is_refused(data: bytes):
    with pytest.raises(IntegrityError, match="not a model file"):
        load_model(data)


def test_a_truncated_model_file_is_refused():
    data = dump_model(Ridge().fit(X, AMOUNT))
    for length in (10, len(data) // 2, len(data) - 1):
        with pytest.raises(IntegrityError):
            load_model(data[:length])
