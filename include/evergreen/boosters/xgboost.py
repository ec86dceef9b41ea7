"""XGBoost: models are kept in its JSON format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from evergreen.boosters.columns import Floats
from evergreen.boosters.estimator import BoostedClassifier, BoostedRegressor
from evergreen.boosters.library import Library, Params, Problem, settings_of
from evergreen.boosters.xgboost_json import check_json

if TYPE_CHECKING:
    import xgboost as xgb

_OBJECTIVES = ("reg:squarederror", "binary:logistic", "multi:softprob")
_ALWAYS = {"nthread": 1, "device": "cpu", "verbosity": 0, "validate_parameters": True}


class XGBoost(Library):
    """XGBoost, by its own interface: what scikit-learn's names for its parameters are is known to it."""

    own: ClassVar[str] = "xgboost"
    rounds: ClassVar[str] = "n_estimators"
    most: ClassVar[int] = 100
    parameters: ClassVar[frozenset[str]] = frozenset(
        {
            "base_score",
            "colsample_bylevel",
            "colsample_bynode",
            "colsample_bytree",
            "eval_metric",
            "gamma",
            "grow_policy",
            "huber_slope",
            "learning_rate",
            "max_bin",
            "max_cat_threshold",
            "max_cat_to_onehot",
            "max_delta_step",
            "max_depth",
            "max_leaves",
            "min_child_weight",
            "n_estimators",
            "num_parallel_tree",
            "objective",
            "quantile_alpha",
            "random_state",
            "reg_alpha",
            "reg_lambda",
            "sampling_method",
            "scale_pos_weight",
            "subsample",
            "tweedie_variance_power",
        }
    )

    def fit(self, problem: Problem, params: Params) -> bytes:
        """The JSON format."""
        import xgboost as xgb

        own, rounds = self._settings(problem, params)
        return bytes(xgb.train(own, _of(problem), rounds).save_raw("json"))

    def stop(self, problem: Problem, later: Problem, params: Params, patience: int) -> dict[str, Any]:
        """By the objective's own metric, or by `eval_metric`."""
        import xgboost as xgb

        own, rounds = self._settings(problem, params)
        model = xgb.train(
            own,
            _of(problem),
            rounds,
            evals=[(_of(later), "later")],
            early_stopping_rounds=patience,
            verbose_eval=False,
        )
        return {self.rounds: int(model.best_iteration) + 1}

    def load(self, data: bytes, features: int, classes: int) -> Any:
        """Checks the JSON before XGBoost parses it."""
        import xgboost as xgb

        check_json(data, features, classes)
        model = xgb.Booster({"nthread": 1})
        try:
            model.load_model(bytearray(data))
        except xgb.core.XGBoostError as error:
            raise ValueError(str(error)) from None
        return model

    def predict(self, model: Any, matrix: Floats, of_categories: tuple[int, ...]) -> Floats:
        """On one thread, in single precision as XGBoost computes."""
        return np.asarray(model.predict(_matrix(matrix, of_categories)), dtype=np.float64)

    def contributions(self, model: Any, matrix: Floats, of_categories: tuple[int, ...]) -> Floats:
        """Exact TreeSHAP, in single precision as XGBoost computes; the base takes what that rounds away."""
        rows = _matrix(matrix, of_categories)
        found = np.asarray(model.predict(rows, pred_contribs=True), dtype=np.float64)
        found[..., -1] = model.predict(rows, output_margin=True) - found[..., :-1].sum(axis=-1)
        return found

    def _settings(self, problem: Problem, params: Params) -> tuple[dict[str, Any], int]:
        monotone = f"({','.join(map(str, problem.monotone or ()))})"
        return settings_of(self, problem, params, objectives=_OBJECTIVES, always=_ALWAYS, monotone=monotone)


class XGBRegressor(BoostedRegressor):
    """`xgboost.XGBRegressor` in a description."""

    library: ClassVar[Library] = XGBoost()


class XGBClassifier(BoostedClassifier):
    """`xgboost.XGBClassifier` in a description."""

    library: ClassVar[Library] = XGBoost()


def _of(problem: Problem) -> xgb.DMatrix:
    return _matrix(problem.matrix, problem.of_categories, problem.target, problem.weights)


def _matrix(
    matrix: Floats,
    of_categories: tuple[int, ...],
    target: Floats | None = None,
    weights: Floats | None = None,
) -> xgb.DMatrix:
    """Features for XGBoost; codes of what is missing or unseen are NaN, which goes a split's default way."""
    import xgboost as xgb

    places, plain = list(of_categories), matrix
    if places:
        plain = matrix.copy()
        plain[:, places] = np.where(plain[:, places] < 0, np.nan, plain[:, places])
    types = ["c" if place in of_categories else "q" for place in range(matrix.shape[1])]
    return xgb.DMatrix(plain, target, weight=weights, feature_types=types, enable_categorical=True, nthread=1)
