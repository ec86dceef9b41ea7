"""Made data, and the libraries that tests try: each with what it calls the settings of a small model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evergreen.boosters.catalogue import BOOSTERS, REMEDY, booster_class

PATHS = [path for booster in BOOSTERS.values() for path in booster.paths]
REGRESSORS = [path for path in PATHS if path.endswith("Regressor")]
CLASSIFIERS = [path for path in PATHS if path.endswith("Classifier")]
FOLD = (np.arange(450), np.arange(450, 600))
SAMPLED: dict[str, dict[str, Any]] = {
    "lightgbm.LGBMRegressor": {"colsample_bytree": 0.7, "extra_trees": True},
    "lightgbm.LGBMClassifier": {"colsample_bytree": 0.7, "extra_trees": True},
    "xgboost.XGBRegressor": {"colsample_bytree": 0.7, "subsample": 0.7},
    "xgboost.XGBClassifier": {"colsample_bytree": 0.7, "subsample": 0.7},
    "catboost.CatBoostRegressor": {"rsm": 0.7},
    "catboost.CatBoostClassifier": {"random_strength": 2},
}
"""Settings that draw at random."""
UNSTOPPED: dict[str, Any] = {"n_estimators": 20, "early_stopping_rounds": 0, "random_state": 3}


def model(path: str, **params: Any) -> Any:
    """A `Boosted` estimator; the test is skipped if its library is not installed."""
    pytest.importorskip(path.partition(".")[0], reason=f"not installed: {REMEDY}")
    kind = booster_class(path)
    assert kind is not None
    return kind(**{**UNSTOPPED, **params})


def rows(count: int = 600, seed: int = 0) -> pd.DataFrame:
    """Two numbers and a town, some of them missing."""
    random = np.random.default_rng(seed)
    found = pd.DataFrame(
        {
            "size": random.normal(size=count),
            "age": random.uniform(0, 10, count),
            "town": random.choice(["Oslo", "Bern", "Rome"], count),
        }
    )
    return found.mask(random.uniform(size=found.shape) < 0.05)


def price(features: pd.DataFrame, seed: int = 1) -> pd.Series:
    """Grows with the size, is 5 higher in Rome, and does not depend on the age."""
    noise = np.random.default_rng(seed).normal(0, 0.3, len(features))
    return 3 * features["size"].fillna(0) + 5 * (features["town"] == "Rome") + noise


def kind_of(path: str, classes: int = 3) -> pd.Series:
    """The target of a regressor, or of a classifier of two or three classes."""
    amount = price(rows())
    if path in REGRESSORS:
        return amount
    limits, names = ([1.0], ["no", "yes"]) if classes == 2 else ([-1.0, 3.0], ["low", "mid", "top"])
    return pd.Series(np.array(names)[np.digitize(amount, limits)])


def answers(fitted: Any, features: pd.DataFrame) -> np.ndarray:
    """Probabilities of a classifier, predictions of a regressor."""
    return fitted.predict_proba(features) if hasattr(fitted, "predict_proba") else fitted.predict(features)
