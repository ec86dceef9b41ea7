"""The steps before an estimator where a description leaves `preprocess` out: by the features' types alone.

What a step does depends on the rows it is fit on; which steps there are must not, or a model would change
with a night that has no missing value. The one exception changes nothing: without missing values an imputer
passes its columns on as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags

from evergreen.boosters.estimator import Boosted
from evergreen.contributions.forests import BINNED
from evergreen.days import DaysOfTimes, is_time
from evergreen.spec import Step

MOST_CATEGORIES = 100
"""Columns that a text becomes at most; the rarest values beyond share one. It bounds the memory of a fit."""

_OF_DISTANCES = frozenset({"cluster", "gaussian_process", "kernel_ridge", "mixture", "neighbors", "svm"})
_BY_SCALE = _OF_DISTANCES | {"linear_model", "neural_network"}
_OF_TREES = frozenset({"ensemble", "tree"})
# Without a penalty a linear model predicts the same in every unit.
_IN_ANY_UNIT = frozenset({"LinearRegression"})
_MISSING_TEXT = -2
"""The code of a text without a value, beside -1 for one that training has not seen."""


def default_steps(estimator: Any, features: pd.DataFrame) -> tuple[Step, ...]:
    """The steps that let an estimator, not fitted, take features (n, d) of these types.

    Times become days. Texts become codes for trees, and columns of 0 and 1 for other estimators; boosting
    libraries have categories of their own, and HistGradientBoosting takes the type category. Numbers are
    scaled for an estimator whose fit depends on their units; they are imputed for one that takes no missing
    values, if some are missing or other steps are needed. A dummy, and an estimator that is none of
    scikit-learn's and no booster, gets the features as they are.
    """
    if not _known(estimator):
        return ()
    kinds = features.dtypes
    texts = [name for name, kind in kinds.items() if _is_text(kind, estimator)]
    times = [name for name, kind in kinds.items() if is_time(kind)]
    scaled = any(map(_is_scaled, _composed(estimator)))
    steps: list[Step] = []
    if times:
        path = f"{DaysOfTimes.__module__}.{DaysOfTimes.__name__}"
        steps.append(Step(step=path, columns=tuple(map(str, times))))
    if not isinstance(estimator, Boosted):
        mixed = bool(texts or times) or any(not _is_number(kind) for kind in kinds)
        steps += _of_numbers(estimator, features, scaled=scaled, some=bool(texts), mixed=mixed)
        steps += [_encoder(estimator, tuple(map(str, texts)), kinds)] if texts else []
    return tuple(steps)


def _of_numbers(
    estimator: Any, features: pd.DataFrame, *, scaled: bool, some: bool, mixed: bool
) -> Iterator[Step]:
    numbers = [name for name, kind in features.dtypes.items() if _is_number(kind) or is_time(kind)]
    if not numbers:
        return
    columns: Literal["numbers"] | None = "numbers" if mixed else None
    missing = bool(features[numbers].isna().to_numpy().any())
    if not _takes_missing(estimator) and (scaled or some or missing):
        params = {"strategy": "median"}
        yield Step(step="sklearn.impute.SimpleImputer", params=params, columns=columns)
    if scaled:
        yield Step(step="sklearn.preprocessing.StandardScaler", columns=columns)


def _encoder(estimator: Any, texts: tuple[str, ...], kinds: pd.Series) -> Step:
    columns: Any = texts
    if not any(isinstance(kind, pd.CategoricalDtype) for name, kind in kinds.items() if name not in texts):
        columns = "texts"
    if not all(map(_is_of_trees, _composed(estimator))):
        params: dict[str, Any] = {"max_categories": MOST_CATEGORIES}
        return Step(step="sklearn.preprocessing.OneHotEncoder", params=params, columns=columns)
    params = {} if _takes_missing(estimator) else {"encoded_missing_value": _MISSING_TEXT}
    return Step(step="sklearn.preprocessing.OrdinalEncoder", params=params, columns=columns)


def _known(estimator: Any) -> bool:
    return all(isinstance(one, Boosted) or _module(one) not in ("", "dummy") for one in _composed(estimator))


def _module(estimator: Any) -> str:
    """`linear_model` of a linear model of scikit-learn; nothing for what is none of its estimators."""
    package, _, rest = type(estimator).__module__.partition(".")
    return rest.partition(".")[0] if package == "sklearn" else ""


def _composed(estimator: Any) -> Iterator[Any]:
    """The estimator, and those it is made of."""
    yield estimator
    for value in estimator.get_params(deep=False).values():
        for one in value if isinstance(value, list) else [value]:
            inner = one[-1] if isinstance(one, tuple) and one else one
            if isinstance(inner, BaseEstimator):
                yield from _composed(inner)


def _is_scaled(estimator: Any) -> bool:
    return _module(estimator) in _BY_SCALE and type(estimator).__name__ not in _IN_ANY_UNIT


def _is_of_trees(estimator: Any) -> bool:
    return _module(estimator) in _OF_TREES


def _takes_missing(estimator: Any) -> bool:
    return bool(get_tags(estimator).input_tags.allow_nan)


def _is_number(kind: Any) -> bool:
    return pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)


def _is_text(kind: Any, estimator: Any) -> bool:
    if isinstance(kind, pd.CategoricalDtype):
        return not isinstance(estimator, (Boosted, *BINNED))
    return pd.api.types.is_object_dtype(kind) or isinstance(kind, pd.StringDtype)
