"""Which models can be explained, and the estimator that is at the heart of one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import PolynomialFeatures

from evergreen.boosters.catalogue import BOOSTERS
from evergreen.boosters.estimator import Boosted
from evergreen.contributions.forests import AVERAGED, BINNED, BOOSTED, SINGLE, explains_start
from evergreen.contributions.linear import MEANS, is_linear
from evergreen.decisions.calibrated import Calibrated
from evergreen.errors import NotInstalledError, SpecError
from evergreen.intervals.conformal import ConformalRegressor
from evergreen.intervals.sets import ConformalClassifier

WHAT = (
    "explained can be linear models, decision trees, random forests, extra trees, gradient boosting of "
    "scikit-learn, LightGBM, XGBoost and CatBoost"
)
_TREES = (*SINGLE, *AVERAGED, *BOOSTED, *BINNED)
_MIXING = ("sklearn.decomposition", "sklearn.kernel_approximation", "sklearn.random_projection")
# Where a model keeps the one within it: fitted, and as it was given.
_WITHIN: Mapping[type[Any], tuple[str, str]] = {
    TransformedTargetRegressor: ("regressor_", "regressor"),
    FixedThresholdClassifier: ("estimator_", "estimator"),
    TunedThresholdClassifierCV: ("estimator_", "estimator"),
    FrozenEstimator: ("estimator", "estimator"),
    ConformalRegressor: ("model", "model"),
    ConformalClassifier: ("model", "model"),
    Calibrated: ("estimator", "estimator"),
}


@dataclass(frozen=True)
class Heart:
    """The estimator within a model whose margin is explained, and the steps before it in their order.

    `transforms` says whether the estimator predicts a transformed target.
    """

    estimator: Any
    steps: tuple[Any, ...] = field(default=(), repr=False)
    transforms: bool = False


def heart_of(model: Any) -> Heart:
    """What a model, fitted or not, has within steps, calibration, thresholds and transforms of the target."""
    steps: list[Any] = []
    transforms = False
    while True:
        if isinstance(model, Pipeline):
            steps += [step for _, step in model.steps[:-1]]
            model = model.steps[-1][1]
        elif isinstance(model, CalibratedClassifierCV):
            fitted = getattr(model, "calibrated_classifiers_", None)
            model = fitted[0].estimator if fitted else model.estimator
        elif names := _WITHIN.get(type(model)):
            transforms |= isinstance(model, TransformedTargetRegressor)
            model = next(getattr(model, name) for name in names if hasattr(model, name))
        else:
            return Heart(model, tuple(steps), transforms)


def with_heart(model: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of a fitted model in which `change` of the estimator at its heart is in its place.

    scikit-learn's calibration may have several, and each is changed.
    """
    if isinstance(model, Pipeline):
        found = copy.copy(model)
        name, last = model.steps[-1]
        found.steps = [*model.steps[:-1], (name, with_heart(last, change))]
    elif isinstance(model, CalibratedClassifierCV):
        found = copy.copy(model)
        found.calibrated_classifiers_ = [copy.copy(one) for one in model.calibrated_classifiers_]
        for one in found.calibrated_classifiers_:
            one.estimator = with_heart(one.estimator, change)
    elif names := _WITHIN.get(type(model)):
        found = copy.copy(model)
        setattr(found, names[0], with_heart(getattr(model, names[0]), change))
    else:
        return change(model)
    return found


def check_explainable(where: str, model: Any) -> None:
    """Raise `SpecError` with what can be explained unless the model, fitted or not, is of such a kind.

    Trees of scikit-learn need LightGBM, whose TreeSHAP explains them: raises `NotInstalledError` without it.
    """
    heart = heart_of(model)
    estimator, kind = heart.estimator, type(heart.estimator)
    for step in heart.steps:
        inner = [one[1] for one in step.transformers] if hasattr(step, "transformers") else [step]
        for one in inner:
            if type(one).__module__.startswith(_MIXING) or isinstance(one, PolynomialFeatures):
                raise SpecError(
                    f"{where}: {type(one).__name__} mixes features, so that none has a contribution of its "
                    "own: leave it or 'explain' out"
                )
    if isinstance(estimator, BOOSTED) and not explains_start(estimator):
        raise SpecError(
            f"{where}: {kind.__name__} starts from another estimator: leave 'init' or 'explain' out"
        )
    if isinstance(estimator, _TREES):
        try:
            BOOSTERS["lightgbm"].check_installed()
        except NotInstalledError as error:
            raise NotInstalledError(f"{where}: contributions are computed by LightGBM: {error}") from None
    elif not (isinstance(estimator, Boosted) or is_linear(kind)):
        raise SpecError(
            f"{where}: {kind.__name__} cannot be explained: {WHAT}: choose one, or leave 'explain' out"
        )


def check_explained(where: str, model: Any) -> None:
    """Raise `SpecError` unless a fitted model can be explained: a linear one must know its means."""
    check_explainable(where, model)
    estimator = heart_of(model).estimator
    if is_linear(type(estimator)) and not hasattr(estimator, MEANS):
        raise SpecError(
            f"{where}: the {type(estimator).__name__} does not know the means of the columns that it was fit "
            "on: train a version here, or leave 'explain' out"
        )


def keep_means(model: Any, features: Any) -> None:
    """Let a fitted model whose heart is linear keep the means of the columns it was fit on (n, d)."""
    heart = heart_of(model)
    if is_linear(type(heart.estimator)):
        setattr(heart.estimator, MEANS, np.mean(dense(transformed(heart, features)), axis=0))


def transformed(heart: Heart, features: Any) -> Any:
    """Features (n, d) as they come to the heart."""
    for step in heart.steps:
        features = step.transform(features)
    return features


def dense(columns: Any) -> Any:
    """Columns as an array of numbers, where a step may have given a sparse matrix."""
    return np.asarray(columns.toarray() if hasattr(columns, "toarray") else columns, dtype=np.float64)
