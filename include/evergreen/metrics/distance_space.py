"""The space in which distances between rows are measured, the same for all compared clusterings."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from evergreen.days import DaysOfTimes, is_time


def distance_space(features: pd.DataFrame) -> Any:
    """A transformer fit on features (n, d): missing values to the mean, unit variance, mean 0.

    Times count as days, and each value of a text or a category is a column of 0 and 1. A candidate's own
    preprocessing is not used, because dropping all but one dimension would be the easiest way to a good
    silhouette.
    """
    numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    kinds = features.dtypes
    times = [name for name, kind in kinds.items() if is_time(kind)]
    texts = [name for name, kind in kinds.items() if not (is_time(kind) or _is_number(kind))]
    if not times and not texts:
        return numbers.fit(features)
    plain = [name for name in features if name not in {*times, *texts}]
    return ColumnTransformer(
        [
            ("numbers", numbers, plain),
            ("times", make_pipeline(DaysOfTimes(), numbers), times),
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
        ]
    ).fit(features)


def _is_number(kind: Any) -> bool:
    return pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)
