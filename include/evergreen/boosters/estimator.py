"""A boosting library's model as a scikit-learn estimator: parameters, and the model in the library's format.

The library's own wrappers keep objects that only pickle can store. These keep bytes and plain values, which
skops stores as they are, and predict from what a reader of the file will have: the model parsed from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from evergreen.boosters.catalogue import BOOSTERS
from evergreen.boosters.columns import Columns, Floats
from evergreen.boosters.library import Library, Params, Problem, outputs_of
from evergreen.errors import IntegrityError, one_line

PATIENCE = 50
"""After how many rounds without progress early stopping ends."""
FEW = 100
"""The most rounds of a model that early stopping had no rows for."""
STOPPING = "early_stopping_rounds"
MONOTONE = "monotone_constraints"

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


class Boosted(BaseEstimator):  # type: ignore[misc]
    """Gradient boosting by a library, whose parameters it takes.

    Two are the same for all libraries. `early_stopping_rounds` is how many rounds without progress end the
    fit, 50 by default; 0 turns early stopping off. `monotone_constraints` maps the name of a feature to 1 or
    -1: the prediction may only grow or only fall with it.

    A fitted model has `model_`, the bytes (b,) of the library's format; `found_`, the parameters that early
    stopping has found; `categories_`, for each column the texts of its categories in order of their codes, or
    None; `n_features_in_`, and `feature_names_in_` if it was fit on a frame.
    """

    library: ClassVar[Library]

    def __init__(self, **params: Any) -> None:
        self.params = params

    @classmethod
    def parameters(cls) -> frozenset[str]:
        """The parameters that a description may set."""
        return cls.library.parameters | {STOPPING, MONOTONE}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters that were given."""
        return dict(self.params)

    def set_params(self, **given: Any) -> Boosted:
        """Set parameters; raises `ValueError` for one that the library does not have."""
        if unknown := sorted(set(given) - self.parameters()):
            raise ValueError(f"{type(self).__name__} has no parameter {', '.join(unknown)}")
        self.params = {**self.params, **given}
        return self

    def predict_raw(self, features: Any) -> Floats:
        """What the library predicts of features (n, d): (n,), or (n, k) for more than two classes."""
        check_is_fitted(self, "model_")
        validate_data(self, features, reset=False, skip_check_array=True)
        columns = Columns(self.categories_)
        matrix = columns.matrix(features)
        found = self.library.predict(self._model, matrix, columns.of_categories)
        outputs = outputs_of(len(getattr(self, "classes_", ())))
        if found.shape != ((len(matrix), outputs) if outputs > 1 else (len(matrix),)):
            raise ValueError(
                f"{type(self).__name__} gives {found.shape[1:]} numbers a row: choose another objective"
            )
        return found

    def contributions(self, features: Any) -> Floats:
        """What the features (n, d) contribute to the raw score: (n, outputs, d + 1), the base last."""
        check_is_fitted(self, "model_")
        validate_data(self, features, reset=False, skip_check_array=True)
        columns = Columns(self.categories_)
        matrix = columns.matrix(features)
        found = self.library.contributions(self._model, matrix, columns.of_categories)
        outputs = outputs_of(len(getattr(self, "classes_", ())))
        return np.asarray(found, dtype=np.float64).reshape(len(matrix), outputs, matrix.shape[1] + 1)

    def _fit(
        self,
        features: Any,
        target: Floats,
        classes: int,
        *,
        weights: ArrayLike | None,
        fold: Fold | None,
        found: Params | None,
    ) -> None:
        validate_data(self, features, reset=True, skip_check_array=True)
        columns = Columns.of(features)
        self.categories_ = columns.categories
        own = {self.library.aliases.get(name, name): value for name, value in self.params.items()}
        patience = int(own.pop(STOPPING, PATIENCE) or 0)
        monotone = _monotone(own.pop(MONOTONE, None), features, columns)
        problem = Problem(
            columns.matrix(features),
            target,
            None if weights is None else np.asarray(weights, dtype=np.float64),
            classes,
            columns.of_categories,
            monotone,
        )
        if found is None:
            found = self._stopped(problem, own, patience, fold)
        self.found_ = dict(found)
        data = self.library.fit(problem, own | self.found_)
        self.model_ = np.frombuffer(data, dtype=np.uint8).copy()
        self._model = self.library.load(data, self.n_features_in_, classes)

    def _stopped(
        self, problem: Problem, own: dict[str, Any], patience: int, fold: Fold | None
    ) -> dict[str, Any]:
        if not patience:
            return {}
        if fold is None or len(np.unique(problem.target[fold[0]])) < problem.classes:
            rounds = self.library.rounds
            return {rounds: min(int(own.get(rounds, self.library.most)), FEW)}
        known, later = fold
        return self.library.stop(problem.taken(known), problem.taken(later), own, patience)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_model"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state from a file; raises `IntegrityError` if its bytes are no model of this kind."""
        self.__dict__.update(state)
        if "model_" not in state:
            return
        BOOSTERS[self.library.own].check_installed()
        try:
            self.categories_ = _categories(self.categories_, self.n_features_in_)
            data = np.asarray(self.model_, dtype=np.uint8).tobytes()
            classes = len(getattr(self, "classes_", ()))
            self._model = self.library.load(data, self.n_features_in_, classes)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise IntegrityError(
                f"the model is not loaded: it holds no model of {self.library.own}: {one_line(error)}: train "
                "the version again or restore it from a backup"
            ) from None


class BoostedRegressor(RegressorMixin, Boosted):  # type: ignore[misc]
    """A regression by a boosting library."""

    def fit(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        fold: Fold | None = None,
        found: Params | None = None,
    ) -> BoostedRegressor:
        """Fit features (n, d), of which texts and categories are categories, to the target (n,).

        With `fold`, positions of rows to fit and of rows to stop on, the number of rounds is the best one
        for the latter; all rows are then fit with it. `found` is `found_` of an earlier model, to be used
        instead. With neither, at most 100 rounds are fit if early stopping is on; so too if the rows to fit
        lack a class.
        """
        self._fit(X, np.asarray(y, dtype=np.float64), 0, weights=sample_weight, fold=fold, found=found)
        return self

    def predict(self, X: Any) -> Floats:  # noqa: N803
        """Predictions (n,) of features (n, d)."""
        return self.predict_raw(X)


class BoostedClassifier(ClassifierMixin, Boosted):  # type: ignore[misc]
    """A classification by a boosting library."""

    def fit(
        self,
        X: Any,  # noqa: N803
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        fold: Fold | None = None,
        found: Params | None = None,
    ) -> BoostedClassifier:
        """Fit features (n, d) to the classes `y` (n,), of which there must be two; see `BoostedRegressor`."""
        self.classes_, codes = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("all rows are of one class: a classification needs two")
        target, classes = codes.astype(np.float64), len(self.classes_)
        self._fit(X, target, classes, weights=sample_weight, fold=fold, found=found)
        return self

    def predict_proba(self, X: Any) -> Floats:  # noqa: N803
        """Probabilities (n, k) of features (n, d), in the order of `classes_`."""
        found = self.predict_raw(X)
        if not ((found >= 0) & (found <= 1)).all():
            raise ValueError(f"{type(self).__name__} gives no probabilities: choose another objective")
        return np.column_stack([1 - found, found]) if found.ndim == 1 else found

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """The most probable class (n,) of features (n, d)."""
        found: NDArray[Any] = self.classes_[np.argmax(self.predict_proba(X), axis=1)]
        return found


def _monotone(given: Any, features: Any, columns: Columns) -> tuple[int, ...] | None:
    if not given:
        return None
    if not isinstance(features, pd.DataFrame):
        raise ValueError(
            f"{MONOTONE}: the features have no names after the steps before: give a step 'columns', which "
            "keeps them"
        )
    names = [str(name) for name in features]
    if not isinstance(given, Mapping) or not set(given.values()) <= {-1, 0, 1}:
        raise ValueError(f"{MONOTONE}: write {{<feature>: 1 or -1}}")
    if unknown := sorted(set(map(str, given)) - set(names)):
        raise ValueError(f"{MONOTONE}: no feature {', '.join(unknown)}; there: {', '.join(names)}")
    of_categories = {names[place] for place in columns.of_categories}
    if wrong := sorted(of_categories & set(map(str, given))):
        raise ValueError(f"{MONOTONE}: {', '.join(wrong)} is a category, which has no order")
    return tuple(int(given.get(name, 0)) for name in names)


def _categories(given: Any, features: int) -> tuple[tuple[str, ...] | None, ...]:
    """The categories of a file, whose tuples may be lists; raises `ValueError` for anything else."""
    if not all(isinstance(known, list | tuple | None) for known in [given or "", *given]):
        raise ValueError("its categories are no lists of texts")
    found = tuple(None if known is None else tuple(known) for known in given)
    texts = (text for known in found if known is not None for text in known)
    if len(found) != features or not all(isinstance(text, str) for text in texts):
        raise ValueError("its categories are not those of its features")
    return found
