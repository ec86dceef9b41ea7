"""LightGBM: models are kept in its text format, without the parameters of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from evergreen.boosters.columns import Floats
from evergreen.boosters.estimator import BoostedClassifier, BoostedRegressor
from evergreen.boosters.library import Library, Params, Problem, outputs_of, settings_of
from evergreen.boosters.lightgbm_text import END, check_text

if TYPE_CHECKING:
    import lightgbm as lgb

_OBJECTIVES = ("regression", "binary", "multiclass")
_ALWAYS = {"num_threads": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1}


class LightGBM(Library):
    """LightGBM, by its own interface: what scikit-learn's names for its parameters are is known to it."""

    own: ClassVar[str] = "lightgbm"
    rounds: ClassVar[str] = "n_estimators"
    most: ClassVar[int] = 100
    parameters: ClassVar[frozenset[str]] = frozenset(
        {
            "alpha",
            "boost_from_average",
            "cat_l2",
            "cat_smooth",
            "colsample_bynode",
            "colsample_bytree",
            "extra_trees",
            "fair_c",
            "is_unbalance",
            "learning_rate",
            "max_bin",
            "max_cat_threshold",
            "max_cat_to_onehot",
            "max_delta_step",
            "max_depth",
            "metric",
            "min_child_samples",
            "min_child_weight",
            "min_data_in_bin",
            "min_data_per_group",
            "min_split_gain",
            "monotone_constraints_method",
            "monotone_penalty",
            "n_estimators",
            "num_leaves",
            "objective",
            "path_smooth",
            "poisson_max_delta_step",
            "random_state",
            "reg_alpha",
            "reg_lambda",
            "reg_sqrt",
            "scale_pos_weight",
            "sigmoid",
            "subsample",
            "subsample_for_bin",
            "subsample_freq",
            "tweedie_variance_power",
        }
    )

    def fit(self, problem: Problem, params: Params) -> bytes:
        """The text format, up to the end of the trees."""
        import lightgbm as lgb

        own, rounds = self._settings(problem, params)
        model = lgb.train(own, _dataset(problem), rounds)
        text: str = model.model_to_string()
        # What follows the trees is for people, and is not read in predicting.
        return (text[: text.index(END)] + END).encode()

    def stop(self, problem: Problem, later: Problem, params: Params, patience: int) -> dict[str, Any]:
        """By the objective's own metric, or by `metric`."""
        import lightgbm as lgb

        own, rounds = self._settings(problem, params)
        stopping = lgb.early_stopping(patience, first_metric_only=True, verbose=False)
        known = _dataset(problem)
        model = lgb.train(
            own,
            known,
            rounds,
            valid_sets=[_dataset(later, known)],
            callbacks=[stopping],
            keep_training_booster=True,
        )
        return {self.rounds: int(model.best_iteration) or rounds}

    def load(self, data: bytes, features: int, classes: int) -> Any:
        """Checks the text before LightGBM parses it."""
        import lightgbm as lgb

        text = data.decode("ascii")
        check_text(text, features, outputs_of(classes))
        try:
            return lgb.Booster(model_str=text)
        except lgb.basic.LightGBMError as error:
            raise ValueError(str(error)) from None

    def predict(self, model: Any, matrix: Floats, of_categories: tuple[int, ...]) -> Floats:
        """On one thread."""
        found: Floats = model.predict(_plain(matrix, of_categories), num_threads=1)
        return found

    def contributions(self, model: Any, matrix: Floats, of_categories: tuple[int, ...]) -> Floats:
        """Exact TreeSHAP, in double precision."""
        return np.asarray(model.predict(_plain(matrix, of_categories), pred_contrib=True, num_threads=1))

    def _settings(self, problem: Problem, params: Params) -> tuple[dict[str, Any], int]:
        monotone = list(problem.monotone or ())
        return settings_of(self, problem, params, objectives=_OBJECTIVES, always=_ALWAYS, monotone=monotone)


class LGBMRegressor(BoostedRegressor):
    """`lightgbm.LGBMRegressor` in a description."""

    library: ClassVar[Library] = LightGBM()


class LGBMClassifier(BoostedClassifier):
    """`lightgbm.LGBMClassifier` in a description."""

    library: ClassVar[Library] = LightGBM()


def _dataset(problem: Problem, of: lgb.Dataset | None = None) -> lgb.Dataset:
    import lightgbm as lgb

    return lgb.Dataset(
        _plain(problem.matrix, problem.of_categories),
        problem.target,
        weight=problem.weights,
        categorical_feature=list(problem.of_categories),
        reference=of,
        params=_ALWAYS,
    )


def _plain(matrix: Floats, of_categories: tuple[int, ...]) -> Floats:
    """Codes of what is missing or unseen as NaN, the category that LightGBM knows for both."""
    if not of_categories:
        return matrix
    plain = matrix.copy()
    places = list(of_categories)
    plain[:, places] = np.where(plain[:, places] < 0, np.nan, plain[:, places])
    return plain
