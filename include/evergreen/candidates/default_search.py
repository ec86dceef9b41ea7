"""The search spaces that `search: default` stands for: one for each estimator that has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evergreen.boosters.catalogue import booster_class
from evergreen.errors import SpecError
from evergreen.spec import Candidate

Search = Mapping[str, Any]

# The most rounds; early stopping finds how many are needed.
_ROUNDS = {"choices": [1000]}
_LIGHTGBM: Search = {
    "n_estimators": _ROUNDS,
    "learning_rate": [0.02, 0.2, "log"],
    "num_leaves": [8, 128, "log", "int"],
    "min_child_samples": [5, 100, "log", "int"],
    "colsample_bytree": [0.4, 1.0],
    "reg_lambda": [0.001, 10, "log"],
}
_XGBOOST: Search = {
    "n_estimators": _ROUNDS,
    "learning_rate": [0.02, 0.2, "log"],
    "max_depth": [3, 10, "int"],
    "min_child_weight": [1, 50, "log"],
    "subsample": [0.6, 1.0],
    "colsample_bytree": [0.4, 1.0],
    "reg_lambda": [0.1, 10, "log"],
}
_CATBOOST: Search = {
    "n_estimators": _ROUNDS,
    "learning_rate": [0.03, 0.2, "log"],
    "depth": [4, 8, "int"],
    "l2_leaf_reg": [1, 10, "log"],
}
_HISTOGRAMS: Search = {
    "max_iter": [50, 500, "log", "int"],
    "learning_rate": [0.03, 0.3, "log"],
    "max_leaf_nodes": [8, 128, "log", "int"],
    "min_samples_leaf": [5, 100, "log", "int"],
    "l2_regularization": [0.001, 10, "log"],
    "max_features": [0.4, 1.0],
}
_FOREST: Search = {
    "n_estimators": {"choices": [200]},
    "max_features": [0.2, 1.0],
    "min_samples_leaf": [1, 20, "log", "int"],
}

DEFAULT_SEARCHES: Mapping[str, Search] = {
    "lightgbm.LGBMRegressor": _LIGHTGBM,
    "lightgbm.LGBMClassifier": _LIGHTGBM,
    "xgboost.XGBRegressor": _XGBOOST,
    "xgboost.XGBClassifier": _XGBOOST,
    "catboost.CatBoostRegressor": _CATBOOST,
    "catboost.CatBoostClassifier": _CATBOOST,
    "sklearn.ensemble.HistGradientBoostingRegressor": _HISTOGRAMS,
    "sklearn.ensemble.HistGradientBoostingClassifier": _HISTOGRAMS,
    "sklearn.ensemble.RandomForestRegressor": _FOREST,
    "sklearn.ensemble.RandomForestClassifier": _FOREST,
    "sklearn.ensemble.ExtraTreesRegressor": _FOREST,
    "sklearn.ensemble.ExtraTreesClassifier": _FOREST,
    "sklearn.linear_model.Ridge": {"alpha": [0.001, 1000, "log"]},
    "sklearn.linear_model.ElasticNet": {"alpha": [0.0001, 10, "log"], "l1_ratio": [0.05, 1.0]},
    "sklearn.linear_model.LogisticRegression": {"C": [0.001, 1000, "log"]},
}
"""By the import path of the estimator."""


def search_of(where: str, candidate: Candidate) -> Search:
    """A candidate's search: its own, or the default of its estimator without the parameters that it sets.

    Raises `SpecError` that begins with `where` if its estimator has no default.
    """
    if candidate.search != "default":
        return candidate.search
    found = DEFAULT_SEARCHES.get(candidate.label)
    if found is None:
        raise SpecError(
            f"{where}.search: {candidate.label} has no default search: write one; there are defaults for "
            f"{', '.join(DEFAULT_SEARCHES)}"
        )
    booster = booster_class(candidate.label)
    aliases = booster.library.aliases if booster else {}
    given = {aliases.get(name, name) for name in candidate.params}
    return {name: values for name, values in found.items() if aliases.get(name, name) not in given}
