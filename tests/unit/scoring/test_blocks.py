"""A row is predicted the same, whatever rows are beside it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from evergreen.metrics.predictions import Predictions
from evergreen.scoring.blocks import BLOCK, predict_in_blocks, takes_rows_apart

_DRAWN = np.random.default_rng(3)
_ROWS = 2 * BLOCK + 7
_FRAME = pd.DataFrame(_DRAWN.normal(size=(_ROWS, 9)), columns=[f"x{n}" for n in range(9)]).assign(
    whole=_DRAWN.integers(0, 9, _ROWS)
)
_CLASSES = np.array(["low", "high", "top"])[(_FRAME["x0"] > 0).astype(int) + (_FRAME["x1"] > 1).astype(int)]
_NUMBERS = _FRAME["x0"] * 3 + _DRAWN.normal(size=_ROWS)
_MODELS: dict[str, tuple[Any, Any]] = {
    "ridge": (Ridge(), _NUMBERS),
    "principal components": (make_pipeline(PCA(3), LinearRegression()), _NUMBERS),
    "logistic": (make_pipeline(StandardScaler(), LogisticRegression()), _CLASSES),
    "network": (MLPClassifier((20, 10), max_iter=3, random_state=0), _CLASSES),
    "transformed": (
        TransformedTargetRegressor(Ridge(), func=np.cbrt, inverse_func=lambda y: y**3),
        _NUMBERS,
    ),
    "trees": (HistGradientBoostingClassifier(max_iter=5), _CLASSES),
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@cache
def _fitted(name: str) -> Any:
    model, target = _MODELS[name]
    return model.fit(_FRAME, target)


@cache
def _together(name: str) -> Predictions:
    return predict_in_blocks(_fitted(name), _FRAME)


def _bits(said: Predictions, rows: Any) -> list[Any]:
    one = said.taken(rows)
    return [one.labels.tolist(), None if one.probabilities is None else one.probabilities.tobytes()]


@pytest.mark.parametrize("name", _MODELS)
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, _ROWS - 1), min_size=1, max_size=40), st.booleans())
def test_a_row_is_predicted_the_same_beside_any_others(name: str, rows: list[int], anew: bool) -> None:
    model, asked = _fitted(name), _FRAME.iloc[rows]
    if anew:  # laid out in memory by row, where a slice is by column
        asked = pd.DataFrame(np.ascontiguousarray(asked.to_numpy()), columns=asked.columns)
    together, alone = _together(name), predict_in_blocks(model, asked)
    assert _bits(alone, slice(None)) == _bits(together, rows)
    assert len(together) == _ROWS
    bare = Predictions.of(model, _FRAME)
    if bare.probabilities is not None:
        np.testing.assert_allclose(together.probabilities, bare.probabilities, rtol=1e-9, atol=1e-12)
    assert (together.labels == bare.labels).mean() == 1 or np.allclose(together.labels, bare.labels)


def test_without_blocks_a_row_would_differ() -> None:
    model = _fitted("logistic")
    together = Predictions.of(model, _FRAME)
    alone = [_bits(Predictions.of(model, _FRAME.iloc[[row]]), slice(None)) for row in range(200)]
    assert any(alone[row] != _bits(together, [row]) for row in range(200))


def test_no_rows_have_no_predictions() -> None:
    with pytest.raises(ValueError, match="0 sample"):
        predict_in_blocks(_fitted("ridge"), _FRAME.head(0))


@pytest.mark.parametrize(
    ("model", "apart"),
    [
        (RandomForestRegressor(), True),
        (make_pipeline(StandardScaler(), RandomForestRegressor()), True),
        (make_pipeline(PCA(), RandomForestRegressor()), False),
        (HistGradientBoostingClassifier(), True),
        (Ridge(), False),
        (
            make_pipeline(
                make_column_transformer((OneHotEncoder(), ["whole"]), remainder="passthrough"),
                RandomForestRegressor(2),
            ),
            True,
        ),
    ],
)
def test_trees_behind_steps_by_value_need_no_blocks(model: Any, apart: bool) -> None:
    assert takes_rows_apart(model.fit(_FRAME.head(9), _NUMBERS.head(9) > 0)) is apart
