"""Trees as a graph, run by onnxruntime beside scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from evergreen.candidates.pretrained import OnnxModel
from evergreen.export.exportable import exportable
from evergreen.export.held import hold
from evergreen.export.to_onnx import of_trees
from evergreen.metrics.predictions import Predictions

ROWS = 300
DRAW = np.random.default_rng(5)
PLAIN = pd.DataFrame(
    {"a": DRAW.normal(size=ROWS), "whole": DRAW.integers(-5, 5, ROWS), "yes": DRAW.random(ROWS) < 0.5}
)
MISSING = PLAIN.assign(a=PLAIN["a"].where(PLAIN.index % 4 > 0))
SIZE = np.exp(PLAIN["a"] + 0.2 * PLAIN["whole"] * PLAIN["yes"]).to_numpy()
TWO, THREE = np.where(SIZE > 1, "large", "small"), np.digitize(SIZE, [0.7, 2.0])

CASES: dict[str, tuple[Any, pd.DataFrame, Any]] = {
    "binned": (HistGradientBoostingRegressor(max_iter=9), MISSING, SIZE),
    "poisson": (HistGradientBoostingRegressor(max_iter=9, loss="poisson"), MISSING, SIZE),
    "gamma": (HistGradientBoostingRegressor(max_iter=9, loss="gamma"), MISSING, SIZE),
    "quantile": (HistGradientBoostingRegressor(max_iter=9, loss="quantile", quantile=0.3), MISSING, SIZE),
    "binned of two": (HistGradientBoostingClassifier(max_iter=9), MISSING, TWO),
    "binned of three": (HistGradientBoostingClassifier(max_iter=5), MISSING, THREE),
    "boosted": (GradientBoostingRegressor(n_estimators=9, loss="huber"), PLAIN, SIZE),
    "boosted from zero": (GradientBoostingRegressor(n_estimators=3, init="zero"), PLAIN, SIZE),
    "boosted of two": (GradientBoostingClassifier(n_estimators=7), PLAIN, TWO),
    "boosted of three": (GradientBoostingClassifier(n_estimators=5), PLAIN, THREE),
    "forest": (RandomForestRegressor(7), MISSING, SIZE),
    "forest of three": (RandomForestClassifier(7), MISSING, THREE),
    "extra of two": (ExtraTreesClassifier(7, max_depth=4), PLAIN, TWO),
    "a single leaf": (RandomForestRegressor(3, min_samples_leaf=200), PLAIN, SIZE),
    "logarithm": (
        TransformedTargetRegressor(
            HistGradientBoostingRegressor(max_iter=9), func=np.log1p, inverse_func=np.expm1
        ),
        MISSING,
        SIZE,
    ),
}


def graph_of(model: Any, features: pd.DataFrame) -> onnx.ModelProto:
    parts = exportable(model, "onnx")
    (arrays,) = parts.files.values()
    assert not isinstance(arrays, bytes), "trees go to the graph as arrays"
    request = {
        "columns": [*features],
        "classes": Predictions.of(model, features).classes,
        "links": parts.links,
        "single": parts.single,
    }
    graph: onnx.ModelProto = of_trees(arrays, request)
    if request["classes"]:
        onnx.helper.set_model_props(graph, {"classes": str([*request["classes"]]).replace("'", '"')})
    return graph


@pytest.mark.parametrize("name", CASES)
def test_a_graph_says_what_the_trees_say(name: str) -> None:
    model, features, target = CASES[name]
    model.fit(features, target)
    graph = graph_of(model, features)
    onnx.checker.check_model(graph)
    asked = pd.concat([features, features.iloc[:9] * np.inf if features is MISSING else features[:0]])
    if "binned" not in name:
        asked = features
    found = Predictions.of(OnnxModel.read(graph.SerializeToString()), asked)
    assert hold(found, Predictions.of(model, asked), "onnx") < 1e-14


def test_values_at_a_threshold_go_the_trees_way() -> None:
    """In single precision they would not: that is why trees are not left to other converters."""
    at = 1.4e9 + 60.0 * np.arange(ROWS)
    features = pd.DataFrame({"at": at})
    model = HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=1).fit(features, np.arange(ROWS) % 7)
    split = model._predictors[0][0].nodes["num_threshold"]
    asked = pd.DataFrame({"at": [*split, *np.nextafter(split, np.inf), *at]})
    graph = OnnxModel.read(graph_of(model, features).SerializeToString())
    assert np.abs(graph.predict(asked) - model.predict(asked)).max() < 1e-12
    single = model.predict(asked.astype(np.float32).astype(np.float64))
    assert np.abs(single - model.predict(asked)).max() > 0.1
