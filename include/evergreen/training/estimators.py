"""Candidates as scikit-learn estimators, by import path and from an allow-list of modules only."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, is_classifier, is_clusterer, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline

from evergreen.errors import SpecError
from evergreen.spec import Candidate, Spec, Task
from evergreen.training.search import parse_search

ESTIMATOR_MODULES = frozenset(
    {
        "sklearn.cluster",
        "sklearn.discriminant_analysis",
        "sklearn.dummy",
        "sklearn.ensemble",
        "sklearn.gaussian_process",
        "sklearn.isotonic",
        "sklearn.kernel_ridge",
        "sklearn.linear_model",
        "sklearn.mixture",
        "sklearn.naive_bayes",
        "sklearn.neighbors",
        "sklearn.neural_network",
        "sklearn.svm",
        "sklearn.tree",
    }
)
"""Where a candidate's estimator may come from."""

PREPROCESS_MODULES = frozenset(
    {
        "sklearn.decomposition",
        "sklearn.feature_selection",
        "sklearn.impute",
        "sklearn.kernel_approximation",
        "sklearn.preprocessing",
        "sklearn.random_projection",
    }
)
"""Where the steps before the estimator may come from."""


def check_candidates(spec: Spec) -> None:
    """Raise `SpecError`, naming the key path, if a candidate of the description cannot be built."""
    for number, candidate in enumerate(spec.training.candidates):
        where = candidate_path(spec, number)
        parse_search(f"{where}.search", candidate.search)
        build_estimator(spec, number, candidate.params)


def candidate_path(spec: Spec, number: int) -> str:
    """Where in the description a candidate stands, for messages."""
    return f"{spec.folder / 'pipeline.yaml'}: training.candidates.{number}"


def build_estimator(spec: Spec, number: int, params: dict[str, Any]) -> Any:
    """Candidate `number` with these parameters, not fit yet: preprocessing, estimator, target transform.

    Whatever has a `random_state` gets the description's seed. Raises `SpecError` for anything that is not on
    the allow-list, does not suit the task, or has no such parameter.
    """
    candidate = spec.training.candidates[number]
    where = candidate_path(spec, number)
    steps = [
        _instance(spec, _class(f"{where}.preprocess", path, PREPROCESS_MODULES), {})
        for path in candidate.preprocess
    ]
    kind = _class(f"{where}.estimator", candidate.estimator, ESTIMATOR_MODULES)
    _check_params(where, kind, [*params, *candidate.search])
    estimator = _instance(spec, kind, params)
    _check_task(spec, where, candidate, estimator)
    model = make_pipeline(*steps, estimator) if steps else estimator
    if candidate.target_transform == "log1p":
        return TransformedTargetRegressor(model, func=np.log1p, inverse_func=np.expm1)
    return model


def _class(where: str, path: str, modules: frozenset[str]) -> type[Any]:
    module, _, name = path.rpartition(".")
    if module not in modules:
        raise SpecError(
            f"{where}: '{path}' is not allowed; allowed are classes of {', '.join(sorted(modules))}"
        )
    found = getattr(import_module(module), name, None)
    wanted = TransformerMixin if modules is PREPROCESS_MODULES else BaseEstimator
    if not (inspect.isclass(found) and issubclass(found, wanted)):
        raise SpecError(f"{where}: '{path}' is no scikit-learn {_KIND[wanted]}: check the name")
    return found


_KIND = {TransformerMixin: "transformer", BaseEstimator: "estimator"}


def _check_params(where: str, kind: type[Any], names: list[str]) -> None:
    allowed = set(inspect.signature(kind).parameters)
    if unknown := sorted(set(names) - allowed):
        raise SpecError(
            f"{where}: {kind.__name__} has no parameter {', '.join(unknown)}; "
            f"allowed: {', '.join(sorted(allowed))}"
        )


def _instance(spec: Spec, kind: type[Any], params: dict[str, Any]) -> Any:
    if "random_state" in inspect.signature(kind).parameters:
        params = {"random_state": spec.training.seed, **params}
    try:
        return kind(**params)
    except TypeError as error:
        raise SpecError(f"{spec.name}: {kind.__name__} cannot be made from {params}: {error}") from None


def _check_task(spec: Spec, where: str, candidate: Candidate, estimator: Any) -> None:
    suits = {
        Task.REGRESSION: is_regressor,
        Task.CLASSIFICATION: is_classifier,
        Task.CLUSTERING: lambda model: (
            is_clusterer(model) or type(model).__module__.startswith("sklearn.mixture")
        ),
    }[spec.task]
    if not suits(estimator):
        raise SpecError(
            f"{where}.estimator: {candidate.estimator} does not do {spec.task}: choose one that does"
        )
    if not hasattr(estimator, "predict"):
        raise SpecError(
            f"{where}.estimator: {candidate.estimator} cannot predict new rows: choose one that can"
        )
    if candidate.target_transform and spec.task is not Task.REGRESSION:
        raise SpecError(f"{where}.target_transform: only regression has a target to transform: leave it out")
