"""Which features an estimator could not take, and what to write for them. Pure."""

from __future__ import annotations

import re

import pandas as pd

from evergreen.days import is_time
from evergreen.errors import one_line

_DEFAULT = "leave preprocess out, which does it by default, or write"
_NAMED = 5
# What scikit-learn and NumPy say of a text, of a missing value, and of a time.
_TEXT = re.compile(r"could not convert string to float: (?:np\.str_\()?(['\"])(?P<value>.*?)\1", re.DOTALL)
_MISSING = re.compile(r"contains? NaN|missing values")
_TIME = re.compile(r"datetime64|timedelta64|Timestamp|Timedelta", re.IGNORECASE)


def cure(features: pd.DataFrame, error: Exception) -> str:
    """What to do about an error of a fit to features (n, d): the columns by name, and the step for them."""
    said = one_line(error, None)
    if found := _TEXT.search(str(error)):
        value = found["value"]
        names = [name for name, column in features.items() if _holds(column, value)]
        step = "sklearn.preprocessing.OneHotEncoder"
        return _advice(names, f"holds texts such as '{value}'", "encode", step)
    if _MISSING.search(said):
        names = [name for name, column in features.items() if column.isna().any()]
        return _advice(names, "has missing values", "impute", "sklearn.impute.SimpleImputer")
    if _TIME.search(said):
        names = [name for name, column in features.items() if is_time(column.dtype)]
        return _advice(names, "holds times", "convert", "evergreen.days.DaysOfTimes")
    return "fix its params or the features"


def _advice(names: list[object], what: str, verb: str, step: str) -> str:
    if not names:
        return "fix its params or the features"
    listed = ", ".join(map(str, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")
    feature = f"feature {listed}" if len(names) == 1 else f"each of the features {listed}"
    return f"{feature} {what}, {verb} them: {_DEFAULT} {{step: {step}, columns: [{listed}]}}"


def _holds(column: pd.Series, value: str) -> bool:
    if pd.api.types.is_numeric_dtype(column.dtype) or is_time(column.dtype):
        return False
    return bool((column.astype(str) == value).any())
