"""Times among the features as numbers, which every estimator takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

_DAY = pd.Timedelta(1, "D")


class DaysOfTimes(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Times as days since 1970-01-01 in UTC, and lengths of time as days: (n, d) float64, NaN for none.

    What repeats by hour, weekday or season is not seen in such a number: a feature function gives that.
    """

    def fit(self, X: Any, y: Any = None) -> DaysOfTimes:  # noqa: N803 - scikit-learn's name
        """Keep names and number of the columns of a frame (n, d)."""
        validate_data(self, X, reset=True, skip_check_array=True)
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        """The columns of a frame (n, d) as days."""
        check_is_fitted(self, "n_features_in_")
        validate_data(self, X, reset=False, skip_check_array=True)
        return np.column_stack([_days(X.iloc[:, place]) for place in range(X.shape[1])])


def is_time(kind: Any) -> bool:
    """Whether a column of this type holds times or lengths of time."""
    return pd.api.types.is_datetime64_any_dtype(kind) or pd.api.types.is_timedelta64_dtype(kind)


def _days(column: pd.Series) -> Any:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_dtype(column.dtype):
        column = column - pd.Timestamp(0)
    found: pd.Series = column / _DAY  # type: ignore[operator]
    return found.to_numpy(dtype=np.float64, na_value=np.nan)
