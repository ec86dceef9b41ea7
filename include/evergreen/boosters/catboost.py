"""CatBoost: models are kept in its own binary format, a FlatBuffer, without what differs between runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from evergreen.boosters.columns import Floats
from evergreen.boosters.estimator import BoostedClassifier, BoostedRegressor
from evergreen.boosters.library import Library, Params, Problem

if TYPE_CHECKING:
    import catboost as cb

_ALWAYS = {"thread_count": 1, "allow_writing_files": False, "logging_level": "Silent"}
_KEPT = frozenset({"class_params", "params"})
"""What of a model's notes is kept: what its answers depend on. Others have the time, or a random number."""

_OF_LOGARITHMS = frozenset({"Poisson", "Tweedie"})


class CatBoost(Library):
    """CatBoost. If no `learning_rate` is given, it chooses one, which early stopping then keeps."""

    own: ClassVar[str] = "catboost"
    rounds: ClassVar[str] = "iterations"
    most: ClassVar[int] = 1_000
    aliases: ClassVar[Mapping[str, str]] = {
        "max_depth": "depth",
        "n_estimators": "iterations",
        "objective": "loss_function",
        "random_state": "random_seed",
        "reg_lambda": "l2_leaf_reg",
    }
    parameters: ClassVar[frozenset[str]] = frozenset(
        {
            "auto_class_weights",
            "bagging_temperature",
            "boost_from_average",
            "boosting_type",
            "bootstrap_type",
            "border_count",
            "depth",
            "eval_metric",
            "grow_policy",
            "has_time",
            "iterations",
            "l2_leaf_reg",
            "leaf_estimation_iterations",
            "leaf_estimation_method",
            "learning_rate",
            "loss_function",
            "max_ctr_complexity",
            "max_depth",
            "max_leaves",
            "min_data_in_leaf",
            "model_size_reg",
            "n_estimators",
            "nan_mode",
            "objective",
            "one_hot_max_size",
            "random_seed",
            "random_state",
            "random_strength",
            "reg_lambda",
            "rsm",
            "score_function",
            "subsample",
        }
    )

    def fit(self, problem: Problem, params: Params) -> bytes:
        """CatBoost's own binary format."""
        model = _model(problem.classes, self._settings(problem, params))
        model.fit(_pool(problem))
        notes = model.get_metadata()
        for name in set(notes.keys()) - _KEPT:
            del notes[name]
        return bytes(model._serialize_model())

    def stop(self, problem: Problem, later: Problem, params: Params, patience: int) -> dict[str, Any]:
        """By the loss, or by `eval_metric`; the learning rate is found too."""
        model = _model(problem.classes, self._settings(problem, params))
        model.fit(_pool(problem), eval_set=_pool(later), early_stopping_rounds=patience, use_best_model=True)
        rate = params.get("learning_rate", model.get_all_params()["learning_rate"])
        return {self.rounds: int(model.get_best_iteration()) + 1, "learning_rate": float(rate)}

    def load(self, data: bytes, features: int, classes: int) -> Any:
        """CatBoost checks the FlatBuffer by itself, though not every number in it."""
        import catboost as cb

        model = _model(classes, {})
        try:
            model.load_model(blob=data)
        except cb.CatBoostError as error:
            raise ValueError(str(error)) from None
        # What it does not need of the bytes, it does not look at.
        if bytes(model._serialize_model()) != data:
            raise ValueError("it is not whole")
        if len(model.feature_names_) != features or list(model.classes_) != list(range(classes)):
            raise ValueError(f"it is not of {features} features and {classes or 'no'} classes")
        if not classes:
            _loss(model)  # raises where it is missing
        return model

    def predict(self, model: Any, matrix: Floats, of_categories: tuple[int, ...]) -> Floats:
        """On one thread."""
        import catboost as cb

        pool = cb.Pool(_frame(matrix, of_categories), cat_features=list(of_categories), thread_count=1)
        if not hasattr(model, "predict_proba"):
            kind = "Exponent" if _loss(model) in _OF_LOGARITHMS else "RawFormulaVal"
            return np.asarray(model.predict(pool, prediction_type=kind, thread_count=1))
        found = np.asarray(model.predict_proba(pool, thread_count=1))
        return found[:, 1] if found.shape[1] == 2 else found

    def contributions(self, model: Any, matrix: Floats, of_categories: tuple[int, ...]) -> Floats:
        """TreeSHAP by its leaves' weights, in double precision."""
        import catboost as cb

        pool = cb.Pool(_frame(matrix, of_categories), cat_features=list(of_categories), thread_count=1)
        return np.asarray(model.get_feature_importance(pool, type="ShapValues", thread_count=1))

    def _settings(self, problem: Problem, params: Params) -> dict[str, Any]:
        own = {**params, **_ALWAYS}
        if problem.classes:
            own["class_names"] = list(range(problem.classes))
        if problem.monotone:
            own["monotone_constraints"] = list(problem.monotone)
        return own


class CatBoostRegressor(BoostedRegressor):
    """`catboost.CatBoostRegressor` in a description."""

    library: ClassVar[Library] = CatBoost()


class CatBoostClassifier(BoostedClassifier):
    """`catboost.CatBoostClassifier` in a description."""

    library: ClassVar[Library] = CatBoost()


def _loss(model: Any) -> str:
    """The name of the loss. CatBoost itself forgets it when it loads a model, and so the unit of a count."""
    return str(json.loads(model.get_metadata()["params"])["loss_function"]["type"])


def _model(classes: int, params: Params) -> Any:
    import catboost as cb

    return (cb.CatBoostClassifier if classes else cb.CatBoostRegressor)(**params)


def _pool(problem: Problem) -> cb.Pool:
    import catboost as cb

    target = problem.target.astype(np.int64) if problem.classes else problem.target
    return cb.Pool(
        _frame(problem.matrix, problem.of_categories),
        target,
        weight=problem.weights,
        cat_features=list(problem.of_categories),
        thread_count=1,
    )


def _frame(matrix: Floats, of_categories: tuple[int, ...]) -> Any:
    """The matrix for CatBoost, which takes codes of categories as whole numbers alone, unseen ones too."""
    if not of_categories:
        return matrix
    return pd.DataFrame(
        {
            str(place): matrix[:, place].astype(np.int64) if place in of_categories else matrix[:, place]
            for place in range(matrix.shape[1])
        }
    )
