"""A row's prediction in which nothing depends on how many rows are predicted together.

Matrix products add up in another order where a matrix has another number of rows, and so give other last
digits (Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.1). A server that is asked
for one row would then differ from the night, which predicts the whole partition. In blocks of one size and
one layout, each row goes the same way. Trees are walked by each row by itself and need none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline

from evergreen.boosters.estimator import Boosted
from evergreen.contributions.explainable import heart_of
from evergreen.contributions.forests import AVERAGED, BINNED, BOOSTED, SINGLE, explains_start
from evergreen.metrics.predictions import Predictions

BLOCK = 512
"""Rows of a block: so few that one row costs little more, so many that the calls of a night cost little."""

_APART = (*SINGLE, *AVERAGED, *BOOSTED, *BINNED, Boosted, DummyClassifier, DummyRegressor)


def predict_in_blocks(model: Any, features: pd.DataFrame) -> Predictions:
    """A fitted model's predictions from features (n, d): the same of a row, whatever rows are beside it."""
    if features.empty or takes_rows_apart(model):
        return Predictions.of(model, features)
    rows = len(features)
    places = np.minimum(np.arange(rows + -rows % BLOCK), rows - 1).reshape(-1, BLOCK)
    blocks = [Predictions.of(model, _block(features, block)) for block in places]
    return Predictions.joined(blocks).taken(np.arange(rows))


def _block(features: pd.DataFrame, places: NDArray[np.int64]) -> pd.DataFrame:
    """The rows at some places, laid out in memory by column: the order of additions depends on that too."""
    return pd.DataFrame({name: column.array.take(places) for name, column in features.items()})


def takes_rows_apart(model: Any) -> bool:
    """Whether a fitted model computes each row by itself, without a product of matrices over all."""
    heart = heart_of(model)
    estimator = heart.estimator
    if not isinstance(estimator, _APART) or (
        isinstance(estimator, BOOSTED) and not explains_start(estimator)
    ):
        return False
    return all(map(_is_by_value, heart.steps))


def _is_by_value(step: Any) -> bool:
    """Whether a fitted step computes each value from values of its row alone."""
    if isinstance(step, ColumnTransformer):
        return all(_is_by_value(one) for _, one, _ in step.transformers_)
    if isinstance(step, Pipeline):
        return all(_is_by_value(one) for _, one in step.steps)
    if isinstance(step, FeatureUnion):
        return all(_is_by_value(one) for _, one in step.transformer_list)
    by_value = type(step).__module__.startswith("sklearn.preprocessing.") or isinstance(step, SimpleImputer)
    return by_value or step is None or isinstance(step, str)
