"""The check of a model in XGBoost's JSON format, before XGBoost parses it.

XGBoost checks little of what it reads: a node's child or a feature out of range makes it read memory that is
not the model's, or ends the process. So everything that it uses as a length or a place is checked here.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evergreen.boosters.library import check_tree, numbers, outputs_of

_FLOATS = ("base_weights", "loss_changes", "split_conditions", "sum_hessian")
_ROOT = 2**31 - 1  # what a tree's root has for a parent
_MOST = 1 << 24  # categories of a feature


def check_json(data: bytes, features: int, classes: int) -> None:
    """Raise `ValueError` unless the bytes are a model of so many features and classes, and whole."""
    content = json.loads(data, object_pairs_hook=_once, parse_constant=_infinity)
    try:
        _check(content["learner"], str(features), classes)
    except (KeyError, IndexError, AttributeError, OverflowError) as error:
        raise ValueError(f"it is no model of XGBoost: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a name twice")
    return found


def _infinity(text: str) -> float:
    if text == "NaN":
        raise ValueError("it holds NaN")
    return float(text)


def _check(learner: Any, features: str, classes: int) -> None:
    outputs = outputs_of(classes)
    own, booster = learner["learner_model_param"], learner["gradient_booster"]
    wanted = {"num_feature": features, "num_class": str(outputs if outputs > 1 else 0), "num_target": "1"}
    if different := [name for name, value in wanted.items() if own[name] != value]:
        raise ValueError(f"its {different[0]} is {own[different[0]]} instead of {wanted[different[0]]}")
    _check_score(own["base_score"], outputs)
    model = booster["model"]
    if booster["name"] != "gbtree" or any(model["cats"].values()):
        raise ValueError("it is of a kind that Evergreen does not write")
    trees, shape = model["trees"], model["gbtree_model_param"]
    if shape["num_trees"] != str(len(trees)):
        raise ValueError("it has not as many trees as it says")
    numbers(model["tree_info"], len(trees), 0, outputs)
    ends = numbers(model["iteration_indptr"], len(model["iteration_indptr"]), 0, len(trees) + 1)
    if not len(ends) or ends[0] != 0 or ends[-1] != len(trees) or (np.diff(ends) < 1).any():
        raise ValueError("its rounds are out of order")
    if len(learner["feature_types"]) != int(features) or learner["feature_names"]:
        raise ValueError(f"its types are not those of {features} features")
    for number, tree in enumerate(trees):
        if tree["id"] != number:
            raise ValueError("its trees are out of order")
        _check_tree(tree, features)


def _check_score(text: str, outputs: int) -> None:
    scores = json.loads(text, parse_constant=_infinity)
    # One score stands for all classes.
    if len(np.atleast_1d(_floats(scores))) not in {1, outputs}:
        raise ValueError("its base score is not one of its outputs")


def _floats(values: Any, *, infinite: bool = False) -> NDArray[np.float64]:
    found = np.asarray(values)
    if found.dtype.kind not in "if" or not (infinite or np.isfinite(found).all()):
        raise ValueError("it holds what is no number")
    return found.astype(np.float64)


def _check_tree(tree: Any, features: str) -> None:
    nodes = len(tree["left_children"])
    said = {"num_nodes": str(nodes), "num_feature": features, "num_deleted": "0", "size_leaf_vector": "1"}
    if not nodes or tree["tree_param"] != said:
        raise ValueError("a tree is not as it says")
    for name in _FLOATS:
        # A split between what is missing and all numbers is at infinity.
        if _floats(tree[name], infinite=name == "split_conditions").shape != (nodes,):
            raise ValueError(f"the {name} of a tree are not those of its nodes")
    left = numbers(tree["left_children"], nodes, -1, nodes)
    right = numbers(tree["right_children"], nodes, -1, nodes)
    inner = left >= 0
    if not np.array_equal(inner, right >= 0):
        raise ValueError("a tree has a node with one child")
    check_tree(left[inner], right[inner], nodes)
    parents = numbers(tree["parents"], nodes, 0, _ROOT + 1)
    places = np.flatnonzero(inner)
    if (
        parents[0] != _ROOT
        or (parents[left[inner]] != places).any()
        or (parents[right[inner]] != places).any()
    ):
        raise ValueError("a tree has a node with another parent than its own")
    numbers(tree["split_indices"], nodes, 0, int(features))
    numbers(tree["default_left"], nodes, 0, 2)
    kinds = numbers(tree["split_type"], nodes, 0, 2)
    _check_categories(tree, np.flatnonzero(kinds))


def _check_categories(tree: Any, places: NDArray[np.intp]) -> None:
    count = len(places)
    all_of_them = numbers(tree["categories"], len(tree["categories"]), 0, _MOST)
    if not np.array_equal(numbers(tree["categories_nodes"], count, 0, len(tree["split_type"])), places):
        raise ValueError("a tree has categories of another node")
    begins = numbers(tree["categories_segments"], count, 0, len(all_of_them) + 1)
    sizes = numbers(tree["categories_sizes"], count, 1, len(all_of_them) + 1)
    # One node's categories follow another's.
    if not np.array_equal(begins, np.cumsum(sizes) - sizes) or sizes.sum() != len(all_of_them):
        raise ValueError("the categories of a tree are out of order")
