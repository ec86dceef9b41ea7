"""A stored version goes the short way, by its own golden sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor

from evergreen.pipeline import Pipeline
from evergreen.scoring.checked_model import load_checked_model
from evergreen.scoring.score import predictions, rows_with_look_back
from evergreen.serving.fast import fast_version
from tests.unit.export.conftest import commit
from tests.unit.scoring.conftest import kiosk

__all__ = ["commit", "kiosk"]


def test_a_night_is_predicted_the_same_by_the_short_way(
    kiosk: Pipeline, commit: Callable[[Any], str]
) -> None:
    model = HistGradientBoostingRegressor(loss="poisson", max_iter=8, min_samples_leaf=2)
    checked = load_checked_model(kiosk, commit(TransformedTargetRegressor(model)))
    fast = fast_version(checked)
    assert fast.way.startswith("joined trees")
    assert fast.model is not checked.estimator
    short = replace(checked, estimator=fast.model)
    for day in pd.date_range("2024-01-12", "2024-01-16").strftime("%Y-%m-%d"):
        rows = rows_with_look_back(kiosk, day)
        assert predictions(short, rows, day).equals(predictions(checked, rows, day))
