"""The space in which distances between rows are measured, the same for all compared clusterings."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def distance_space(features: pd.DataFrame) -> Any:
    """A transformer fit on numeric features (n, d): missing values to the mean, unit variance, mean 0.

    A candidate's own preprocessing is not used, because dropping all but one dimension would be the easiest
    way to a good silhouette.
    """
    return make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()).fit(features)
