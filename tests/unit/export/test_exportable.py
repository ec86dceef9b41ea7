"""What a format can hold of a model, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from evergreen.boosters.lightgbm import LGBMRegressor
from evergreen.decisions.calibrated import Calibrated
from evergreen.errors import RefusedError
from evergreen.export.exportable import Format, exportable
from evergreen.intervals.conformal import ConformalRegressor
from evergreen.intervals.sets import ConformalClassifier

ROWS = 200
DRAW = np.random.default_rng(2)
FEATURES = pd.DataFrame({"a": DRAW.normal(size=ROWS), "b": DRAW.normal(size=ROWS)})
SIZE = (3 * FEATURES["a"] + DRAW.normal(size=ROWS)).to_numpy()
TWO = SIZE > 0
FOREST = RandomForestRegressor(3, max_depth=3).fit(FEATURES, SIZE)


def scaled(last: Any) -> Pipeline:
    return Pipeline([("scaled", StandardScaler()), ("last", last)])


@pytest.mark.parametrize(
    ("model", "to", "files", "links"),
    [
        (Ridge(), "onnx", {"model.skops"}, ()),
        (scaled(RandomForestRegressor(2)), "onnx", {"model.skops"}, ()),
        (
            TransformedTargetRegressor(scaled(Ridge()), func=np.log1p, inverse_func=np.expm1),
            "onnx",
            {"model.skops"},
            ("expm1",),
        ),
        (
            TransformedTargetRegressor(Ridge(), func=np.sqrt, inverse_func=np.square),
            "onnx",
            {"model.skops"},
            (),
        ),
        (GradientBoostingRegressor(init=LinearRegression(), n_estimators=2), "onnx", {"model.skops"}, ()),
        (GradientBoostingRegressor(n_estimators=2), "onnx", {"forest.npz"}, ()),
        (GradientBoostingClassifier(n_estimators=2), "onnx", {"forest.npz"}, ("sigmoid",)),
        # Its link is that of half the sum, which no graph here has.
        (GradientBoostingClassifier(n_estimators=2, loss="exponential"), "onnx", {"model.skops"}, ()),
        (RandomForestRegressor(2), "treelite", {"model.skops"}, ()),
        (RandomForestRegressor(2), "mlflow", {"model.skops"}, ()),
        (LGBMRegressor(n_estimators=2), "treelite", {"model.txt"}, ()),
    ],
)
def test_what_the_converter_gets(model: Any, to: Format, files: set[str], links: tuple[str, ...]) -> None:
    model.fit(FEATURES, TWO if isinstance(model, GradientBoostingClassifier) else np.abs(SIZE))
    found = exportable(model, to)
    assert set(found.files) == files
    assert found.links == links
    assert found.lost == ()


def test_intervals_and_sets_are_left_behind() -> None:
    fitted = GradientBoostingClassifier(n_estimators=2).fit(FEATURES, TWO)
    sets = ConformalClassifier(fitted, (0.8,)).calibrate(fitted.predict_proba(FEATURES), TWO)
    assert exportable(sets, "onnx").lost == ("sets",)
    model = ConformalRegressor(FOREST, (0.8,)).calibrate(
        FOREST.predict(FEATURES), SIZE, np.arange(ROWS) // 70
    )
    for to in ("onnx", "treelite", "mlflow"):
        assert exportable(model, to).lost == ("intervals",)


@pytest.mark.parametrize(
    ("model", "to", "why"),
    [
        (scaled(FOREST), "treelite", "treelite holds an ensemble of trees and nothing else"),
        (
            LGBMRegressor(n_estimators=2).fit(FEATURES.assign(town="Ulm"), SIZE),
            "treelite",
            "treelite takes numbers, and the model has categories",
        ),
        (
            LGBMRegressor(n_estimators=2).fit(FEATURES, SIZE),
            "onnx",
            r"lightgbm\.LGBMRegressor is read by nothing but Evergreen",
        ),
        (
            LGBMRegressor(n_estimators=2).fit(FEATURES, SIZE),
            "mlflow",
            r"lightgbm\.LGBMRegressor is read by nothing but Evergreen",
        ),
    ],
)
def test_what_a_format_cannot_hold_is_refused(model: Any, to: Format, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        exportable(model, to)


@pytest.mark.parametrize("to", ["onnx", "treelite", "mlflow"])
def test_probabilities_calibrated_here_are_refused(to: Format) -> None:
    fitted = GradientBoostingClassifier(n_estimators=2).fit(FEATURES, TWO)
    model = Calibrated(fitted, "isotonic").calibrate(fitted.predict_proba(FEATURES), TWO, fitted.classes_)
    with pytest.raises(RefusedError, match=r"Calibrated"):
        exportable(model, to)
