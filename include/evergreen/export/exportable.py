"""What of a model an export takes, what stays behind, and what a format cannot hold. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn._loss.link import IdentityLink, LogitLink, LogLink, MultinomialLogit
from sklearn.compose import TransformedTargetRegressor

from evergreen.boosters.estimator import Boosted
from evergreen.candidates.pretrained import OnnxModel
from evergreen.contributions.forests import (
    AVERAGED,
    BINNED,
    BOOSTED,
    Forest,
    explains_start,
    forest_of,
)
from evergreen.errors import RefusedError
from evergreen.intervals.conformal import ConformalRegressor
from evergreen.intervals.sets import ConformalClassifier
from evergreen.registry.model_file import dump_model, types_beside_scikit_learn

Format = Literal["onnx", "treelite", "mlflow"]
Files = Mapping[str, bytes | Mapping[str, NDArray[Any]]]

_TREES = (*AVERAGED, *BOOSTED, *BINNED)
_LINKS = {IdentityLink: (), LogLink: ("exp",), LogitLink: ("sigmoid",), MultinomialLogit: ("softmax",)}
_LIBRARIES = {"lightgbm": "model.txt", "xgboost": "model.json"}


@dataclass(frozen=True)
class Exportable:
    """What the converter gets of a model: `files` by name, bytes or arrays.

    `links` are what it must still apply to the numbers of these, in their order; `single` says that trees
    compare in single precision. `lost` says for people what the export does not have.
    """

    files: Files = field(repr=False)
    links: tuple[str, ...] = ()
    single: bool = False
    lost: tuple[str, ...] = ()


def exportable(model: Any, to: Format) -> Exportable:
    """What of a fitted model is converted to the format; raises `RefusedError` for what it cannot hold."""
    lost: tuple[str, ...] = ()
    if isinstance(model, ConformalRegressor | ConformalClassifier):
        lost = ("intervals" if isinstance(model, ConformalRegressor) else "sets",)
        model = model.model
    if to == "onnx":
        return _to_onnx(model, lost)
    if to == "treelite":
        return _to_treelite(model, lost)
    return Exportable(_skops(model), lost=lost)


def _to_onnx(model: Any, lost: tuple[str, ...]) -> Exportable:
    if isinstance(model, OnnxModel):
        return Exportable({"model.onnx": model.graph.tobytes()}, lost=lost)
    after: tuple[str, ...] = ()
    if isinstance(model, TransformedTargetRegressor) and model.inverse_func is np.expm1:
        model, after = model.regressor_, ("expm1",)
    link = _link(model)
    if link is None:
        return Exportable(_skops(model), links=after, lost=lost)
    arrays = forest_arrays(forest_of(model))
    return Exportable({"forest.npz": arrays}, (*link, *after), not isinstance(model, BINNED), lost)


def _to_treelite(model: Any, lost: tuple[str, ...]) -> Exportable:
    if isinstance(model, Boosted):
        file = _LIBRARIES.get(model.library.own)
        if file is None:
            raise RefusedError(
                f"treelite does not read {type(model).__name__}: it is served by evergreen serve"
            )
        if any(known is not None for known in model.categories_):
            raise RefusedError(
                "treelite takes numbers, and the model has categories: export it from a model without them"
            )
        return Exportable({file: model.model_.tobytes()}, lost=lost)
    if type(model) not in _TREES:
        raise RefusedError(
            f"treelite holds an ensemble of trees and nothing else, and the model is {type(model).__name__}: "
            "export it --to onnx or mlflow"
        )
    if getattr(model, "is_categorical_", None) is not None:
        raise RefusedError("treelite takes numbers, and the model has categories: export it --to mlflow")
    return Exportable(_skops(model), lost=lost)


def forest_arrays(forest: Forest) -> dict[str, NDArray[Any]]:
    """All trees of a forest one after another.

    `sizes` and `outputs` (trees,) say how many nodes a tree has, and which output it adds to; what is
    `added` is a number by output. The others have a value for each node, as `contributions.tree.Tree` has.
    """
    trees = [(output, tree) for output, of_one in enumerate(forest.trees) for tree in of_one]
    arrays = {
        name: np.concatenate([getattr(tree, name) for _, tree in trees])
        for name in ("feature", "threshold", "left", "right", "missing_left", "value")
    }
    return arrays | {
        "sizes": np.array([len(tree.value) for _, tree in trees]),
        "outputs": np.array([output for output, _ in trees]),
        "added": np.asarray(forest.added, np.float64),
    }


def _link(model: Any) -> tuple[str, ...] | None:
    """What follows the sums of an ensemble of trees over numbers; None for everything else."""
    if type(model) not in _TREES or getattr(model, "is_categorical_", None) is not None:
        return None
    if isinstance(model, AVERAGED):
        return ()
    if isinstance(model, BOOSTED) and not explains_start(model):
        return None
    return _LINKS.get(type(model._loss.link))


def _skops(model: Any) -> dict[str, bytes]:
    data = dump_model(model)
    if others := types_beside_scikit_learn(data):
        raise RefusedError(
            f"{others[0]} is read by nothing but Evergreen (LightGBM and XGBoost can go --to treelite, "
            "a pretrained graph --to onnx)"
        )
    return {"model.skops": data}
