"""Candidates as scikit-learn estimators, by import path and from an allow-list only.

Beside the modules here, the boosting libraries of `evergreen.boosters` may be used, and a class that the
pipelines' own `allowed_estimators.txt` names: see `evergreen.registry.trusted_types`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, is_classifier, is_clusterer, is_regressor
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import TargetEncoder
from sklearn.utils.validation import has_fit_parameter

from evergreen.boosters.catalogue import BOOSTERS, booster_class
from evergreen.boosters.estimator import STOPPING, Boosted
from evergreen.candidates.default_search import search_of
from evergreen.candidates.default_steps import default_steps
from evergreen.candidates.search import parse_search
from evergreen.contributions.explainable import check_explainable
from evergreen.errors import NotInstalledError, SpecError
from evergreen.registry.trusted_types import allowed_estimators
from evergreen.spec import Candidate, Spec, Step, Task

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
        "evergreen.days",
        "sklearn.decomposition",
        "sklearn.feature_selection",
        "sklearn.impute",
        "sklearn.kernel_approximation",
        "sklearn.preprocessing",
        "sklearn.random_projection",
    }
)
"""Where the steps before the estimator may come from."""

SCORE_FUNCTIONS = frozenset({"chi2", "f_classif", "f_regression", "r_regression"})
"""What `score_func` of a selection may name. Not mutual information, whose noise cannot be seeded here."""

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    # A category that training has not seen must not make scoring fail, and few estimators take sparse
    # features.
    "OneHotEncoder": {"handle_unknown": "infrequent_if_exist", "sparse_output": False},
    "OrdinalEncoder": {"handle_unknown": "use_encoded_value", "unknown_value": -1},
    "KBinsDiscretizer": {"encode": "onehot-dense"},
}
_COLUMNS: Mapping[str, Callable[[], Any]] = {
    "numbers": lambda: make_column_selector(dtype_include=["number"]),
    "texts": lambda: make_column_selector(dtype_include=["object", "string", "category"]),
}
_BOOSTERS = [path for booster in BOOSTERS.values() for path in booster.paths]
_KIND = {TransformerMixin: "transformer", BaseEstimator: "estimator"}


def check_candidates(spec: Spec) -> None:
    """Raise `SpecError`, naming the key path, if a candidate of the description cannot be built.

    A pretrained one is not checked: it lies in the storage, see `evergreen.candidates.pretrained`.
    """
    for number, candidate in enumerate(spec.training.candidates):
        if candidate.pretrained is None:
            where = candidate_path(spec, number)
            parse_search(f"{where}.search", search_of(where, candidate))
            build_estimator(spec, number, candidate.params)


def candidate_path(spec: Spec, number: int) -> str:
    """Where in the description a candidate stands, for messages."""
    return f"{spec.folder / 'pipeline.yaml'}: training.candidates.{number}"


def named(spec: Spec, number: int) -> str:
    """A candidate's name for people, with the recency of its rows where they have one."""
    candidate, half_life = spec.training.candidates[number], spec.training.half_life(number)
    return f"{candidate.label} ({half_life})" if half_life else candidate.label


def build_estimator(spec: Spec, number: int, params: Mapping[str, Any]) -> Any:
    """Candidate `number` with these parameters, not fit yet: steps, estimator, target transform.

    A parameter `<step>__<name>` belongs to a step, which is named by its class in lower case, with a number
    (`simpleimputer-1`) where several have the same class. A value `{estimator: <path>, params: {...}}` stands
    for an estimator, and so does each of a list of these. Everything with a `random_state` gets the
    description's seed. Raises `SpecError` for what is not on the allow-list, does not suit the task, or has
    no such parameter.
    """
    candidate = spec.training.candidates[number]
    where = candidate_path(spec, number)
    described = candidate.preprocess or ()
    kinds = [_class(f"{where}.preprocess", step.step, PREPROCESS_MODULES) for step in described]
    names = _names(kinds)
    own, of_steps = _dealt(where, names, params)
    searched, searched_of_steps = _dealt(where, names, search_of(where, candidate))
    steps = []
    for name, kind, step in zip(names, kinds, described, strict=True):
        given = {**step.params, **of_steps[name]}
        _check_params(f"{where}.preprocess", kind, [*given, *searched_of_steps[name]])
        steps.append((name, _step(spec, f"{where}.preprocess", kind, step, given)))
    kind = _class(f"{where}.estimator", candidate.label, ESTIMATOR_MODULES)
    _check_params(where, kind, [*own, *searched])
    estimator = _instance(spec, where, kind, own)
    _check_task(spec, where, candidate, estimator)
    _check_weights(spec, where, number, estimator)
    model = _chained(described, steps, estimator)
    if spec.explain is not None:
        check_explainable(f"{where}.estimator", model)
    if candidate.target_transform == "log1p":
        return TransformedTargetRegressor(model, func=np.log1p, inverse_func=np.expm1)
    return model


def with_default_steps(spec: Spec, features: pd.DataFrame) -> Spec:
    """The description with the steps of `default_steps` in each candidate that leaves `preprocess` out."""
    candidates = [
        candidate.model_copy(update={"preprocess": default_steps(_alone(spec, number), features)})
        if candidate.preprocess is None and candidate.pretrained is None
        else candidate
        for number, candidate in enumerate(spec.training.candidates)
    ]
    training = spec.training.model_copy(update={"candidates": tuple(candidates)})
    return spec.model_copy(update={"training": training})


def _alone(spec: Spec, number: int) -> Any:
    return estimator_of(build_estimator(spec, number, spec.training.candidates[number].params))


def fit_argument(model: Any, name: str) -> str:
    """How `fit` of a model that `build_estimator` made calls an argument of its estimator's own `fit`."""
    inner = model.regressor if isinstance(model, TransformedTargetRegressor) else model
    return f"{inner.steps[-1][0]}__{name}" if isinstance(inner, Pipeline) else name


def estimator_of(model: Any) -> Any:
    """The estimator of a model that `build_estimator` made: its fitted one where the model is fitted."""
    if isinstance(model, TransformedTargetRegressor):
        model = getattr(model, "regressor_", model.regressor)
    return model.steps[-1][1] if isinstance(model, Pipeline) else model


def _names(kinds: list[type[Any]]) -> list[str]:
    plain = [kind.__name__.lower() for kind in kinds]
    return [
        name if plain.count(name) == 1 else f"{name}-{plain[: number + 1].count(name)}"
        for number, name in enumerate(plain)
    ]


def _dealt(
    where: str, names: list[str], params: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The parameters of the estimator itself, and those of each step by its name."""
    own: dict[str, Any] = {}
    of_steps: dict[str, dict[str, Any]] = {name: {} for name in names}
    for written, value in params.items():
        step, separator, name = written.partition("__")
        if not separator:
            own[written] = value
        elif step in of_steps:
            of_steps[step][name] = value
        else:
            raise SpecError(
                f"{where}: '{written}' names no step of preprocess; there: {', '.join(names) or 'none'}"
            )
    return own, of_steps


def _step(spec: Spec, where: str, kind: type[Any], step: Step, params: Mapping[str, Any]) -> Any:
    transformer = _instance(spec, where, kind, {**_defaults(spec, kind, params), **params})
    if step.columns is None:
        return transformer
    columns = _COLUMNS[step.columns]() if isinstance(step.columns, str) else list(step.columns)
    return ColumnTransformer(
        [(kind.__name__.lower(), transformer, columns)],
        remainder="passthrough",
        verbose_feature_names_out=False,
    )


def _defaults(spec: Spec, kind: type[Any], params: Mapping[str, Any]) -> dict[str, Any]:
    if "handle_unknown" in params and kind.__name__ == "OrdinalEncoder":
        return {}
    found = dict(_DEFAULTS.get(kind.__name__, {}))
    if kind is TargetEncoder:
        # Rows are encoded by the targets of other rows, seeded here: the encoder's own seed is deprecated.
        split = StratifiedKFold if spec.task is Task.CLASSIFICATION else KFold
        found["cv"] = split(5, shuffle=True, random_state=spec.training.seed)
    if spec.task is Task.REGRESSION and "score_func" in inspect.signature(kind).parameters:
        found["score_func"] = "f_regression"  # scikit-learn's own default is one for classes
    return found


def _chained(described: Sequence[Step], steps: list[tuple[str, Any]], estimator: Any) -> Any:
    if not steps:
        return estimator
    if any(step.columns is not None for step in described):
        # Columns are found by name, so every step must keep the names.
        for _, step in steps:
            step.set_output(transform="pandas")
    # A step may have the estimator's class too: an isotonic regression does.
    name = type(estimator).__name__.lower()
    return Pipeline([*steps, (f"{name}-last" if name in dict(steps) else name, estimator)])


def _class(where: str, path: str, modules: frozenset[str]) -> type[Any]:
    if modules is ESTIMATOR_MODULES and (booster := _booster(where, path)):
        return booster
    module, _, name = path.rpartition(".")
    if module not in modules and path not in allowed_estimators():
        boosters = f"{', '.join(_BOOSTERS)}, " if modules is ESTIMATOR_MODULES else ""
        raise SpecError(
            f"{where}: '{path}' is not allowed; allowed are classes of {', '.join(sorted(modules))}, "
            f"{boosters}and those that allowed_estimators.txt in the folder of pipelines names"
        )
    try:
        found = getattr(import_module(module), name, None)
    except ImportError as error:
        raise SpecError(f"{where}: '{path}' cannot be imported: {error}: put it on PYTHONPATH") from None
    wanted = TransformerMixin if modules is PREPROCESS_MODULES else BaseEstimator
    if not (inspect.isclass(found) and issubclass(found, wanted)):
        raise SpecError(f"{where}: '{path}' is no scikit-learn {_KIND[wanted]}: check the name")
    return found


def _booster(where: str, path: str) -> type[Boosted] | None:
    try:
        return booster_class(path)
    except NotInstalledError as error:
        raise NotInstalledError(f"{where}: '{path}' cannot be used: {error}") from None


def _check_params(where: str, kind: type[Any], names: Iterable[str]) -> None:
    own = kind.parameters() if issubclass(kind, Boosted) else inspect.signature(kind).parameters
    allowed = set(own)
    if unknown := sorted(set(names) - allowed):
        raise SpecError(
            f"{where}: {kind.__name__} has no parameter {', '.join(unknown)}; "
            f"allowed: {', '.join(sorted(allowed))}"
        )


def _instance(spec: Spec, where: str, kind: type[Any], params: Mapping[str, Any]) -> Any:
    params = {name: _value(spec, f"{where}.{name}", name, value) for name, value in params.items()}
    if _takes_seed(kind):
        params = {"random_state": spec.training.seed, **params}
    try:
        return kind(**params)
    except TypeError as error:
        raise SpecError(f"{where}: {kind.__name__} cannot be made from {params}: {error}") from None


def _takes_seed(kind: type[Any]) -> bool:
    seed = inspect.signature(kind).parameters.get("random_state")
    return issubclass(kind, Boosted) or (seed is not None and seed.default != "deprecated")


def _value(spec: Spec, where: str, name: str, value: Any) -> Any:
    if name == "score_func":
        return _score_function(where, value)
    if isinstance(value, dict) and "estimator" in value:
        return _nested(spec, where, value)
    if isinstance(value, list) and value and all(isinstance(v, dict) and "estimator" in v for v in value):
        return [(f"model{number}", _nested(spec, where, entry)) for number, entry in enumerate(value)]
    return value


def _score_function(where: str, name: Any) -> Any:
    short = str(name).removeprefix("sklearn.feature_selection.")
    if short not in SCORE_FUNCTIONS:
        raise SpecError(f"{where}: '{name}' is not allowed; allowed: {', '.join(sorted(SCORE_FUNCTIONS))}")
    return getattr(import_module("sklearn.feature_selection"), short)


def _nested(spec: Spec, where: str, value: Mapping[str, Any]) -> Any:
    params = value.get("params", {})
    if not set(value) <= {"estimator", "params"} or not isinstance(params, dict):
        raise SpecError(f"{where}: write an estimator as {{estimator: <import path>, params: {{...}}}}")
    kind = _class(where, str(value["estimator"]), ESTIMATOR_MODULES)
    _check_params(where, kind, params)
    # Inside another estimator there are no rows to stop on.
    stopping = {STOPPING: 0} if issubclass(kind, Boosted) else {}
    return _instance(spec, where, kind, {**params, **stopping})


def _check_task(spec: Spec, where: str, candidate: Candidate, estimator: Any) -> None:
    if not suits(spec, estimator):
        raise SpecError(
            f"{where}.estimator: {candidate.estimator} does not support {spec.task}: choose one that does"
        )
    if not hasattr(estimator, "predict"):
        raise SpecError(
            f"{where}.estimator: {candidate.estimator} cannot predict new rows: choose one that can"
        )
    if candidate.target_transform and spec.task is not Task.REGRESSION:
        raise SpecError(f"{where}.target_transform: only regression has a target to transform: leave it out")


def suits(spec: Spec, estimator: Any) -> bool:
    """Whether the estimator is one for the pipeline's task."""
    if spec.task is Task.REGRESSION:
        return bool(is_regressor(estimator))
    if spec.task is Task.CLASSIFICATION:
        return bool(is_classifier(estimator))
    return bool(is_clusterer(estimator)) or type(estimator).__module__.startswith("sklearn.mixture")


def _check_weights(spec: Spec, where: str, number: int, estimator: Any) -> None:
    candidate = spec.training.candidates[number]
    asked = [f"leave training.{key} out" for key in ("weight", "balance") if getattr(spec.training, key)]
    if spec.training.half_life(number):
        asked.append("write 'recency: none' for it")
    if asked and not has_fit_parameter(estimator, "sample_weight"):
        raise SpecError(
            f"{where}.estimator: {candidate.estimator} accepts no row weights: choose another, or {asked[0]}"
        )
