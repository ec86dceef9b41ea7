"""A decision tree of whatever library, as LightGBM's text, by which it is explained.

LightGBM computes exact TreeSHAP (Lundberg et al. 2020, "From local explanations to global understanding with
explainable AI for trees", algorithm 2: path-dependent) in double precision, for splits of categories and
missing values too. So the trees of scikit-learn are written in its format, and explained by its code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evergreen.boosters.catalogue import BOOSTERS

Floats = NDArray[np.float64]

UNKNOWN = 256.0
"""The code of a category that is missing or unseen: one more than scikit-learn's largest."""

_NUMBER, _CATEGORY = 0, 1
_DEFAULT_LEFT, _MISSING_IS_NAN = 2, 8
_LARGEST = 1 << 30  # LightGBM counts rows in 32 bits


@dataclass(frozen=True)
class Tree:
    """A binary tree of n nodes, the root first.

    `left` and `right` (n,) are the children's places, -1 for a leaf. A value goes left if it is at most the
    `threshold` (n,) of its `feature` (n,), or if its code is in `categories`, which has the codes of the
    nodes that split by them. A missing number goes left where `missing_left` (n,). `value` (n,) is what a
    leaf gives, `weight` (n,) how many rows of the training have come to it.
    """

    feature: NDArray[np.int64] = field(repr=False)
    threshold: Floats = field(repr=False)
    left: NDArray[np.int64] = field(repr=False)
    right: NDArray[np.int64] = field(repr=False)
    missing_left: NDArray[np.bool_] = field(repr=False)
    value: Floats = field(repr=False)
    weight: Floats = field(repr=False)
    categories: dict[int, tuple[int, ...]] = field(default_factory=dict, repr=False)

    def text(self) -> str:
        """The tree's fields in LightGBM's format."""
        inner, leaves = np.flatnonzero(self.left >= 0), np.flatnonzero(self.left < 0)
        if not len(inner):
            return f"num_leaves=1\nnum_cat=0\nleaf_value={_numbers(self.value)}\nshrinkage=1\n"
        place = np.empty(len(self.left), dtype=np.int64)
        place[inner], place[leaves] = np.arange(len(inner)), ~np.arange(len(leaves))
        counts = self._counts()
        kinds, thresholds, ends, bits = self._splits(inner)
        fields: dict[str, str] = {
            "num_leaves": str(len(leaves)),
            "num_cat": str(len(ends) - 1),
            "split_feature": _numbers(self.feature[inner]),
            "split_gain": _numbers(np.zeros(len(inner))),
            "threshold": _numbers(thresholds),
            "decision_type": _numbers(kinds),
            "left_child": _numbers(place[self.left[inner]]),
            "right_child": _numbers(place[self.right[inner]]),
            "leaf_value": _numbers(self.value[leaves]),
            "leaf_weight": _numbers(counts[leaves]),
            "leaf_count": _numbers(counts[leaves]),
            "internal_value": _numbers(np.zeros(len(inner))),
            "internal_weight": _numbers(counts[inner]),
            "internal_count": _numbers(counts[inner]),
        }
        if bits:
            fields |= {"cat_boundaries": _numbers(ends), "cat_threshold": _numbers(bits)}
        fields |= {"is_linear": "0", "shrinkage": "1"}
        return "".join(f"{name}={value}\n" for name, value in fields.items())

    def _counts(self) -> NDArray[np.int64]:
        """The weights as whole numbers, each node's the sum of its children's.

        Weights that are whole already stay so; others are rounded to 2**-30 of all.
        """
        leaf = self.left < 0
        weight = np.where(leaf, self.weight, 0.0)
        whole = bool((weight == np.round(weight)).all()) and weight.sum() < _LARGEST
        scaled = weight if whole else weight / weight.sum() * _LARGEST
        counts = np.where(leaf, np.maximum(np.round(scaled), 1), 0).astype(np.int64)
        for node in reversed(self._from_root()):
            if not leaf[node]:
                counts[node] = counts[self.left[node]] + counts[self.right[node]]
        return counts

    def _from_root(self) -> list[int]:
        """The nodes in an order in which parents come before their children."""
        order, place = [0], 0
        while place < len(order):
            node = order[place]
            if self.left[node] >= 0:
                order += [int(self.left[node]), int(self.right[node])]
            place += 1
        return order

    def _splits(self, inner: NDArray[np.intp]) -> tuple[NDArray[np.int64], Floats, list[int], list[int]]:
        """Kinds and thresholds of the inner nodes, and the bit sets of categories with their bounds."""
        kinds = np.where(self.missing_left[inner], _DEFAULT_LEFT, 0) | _MISSING_IS_NAN
        thresholds = self.threshold[inner].copy()
        ends, bits = [0], list[int]()
        for place, node in enumerate(inner):
            if (codes := self.categories.get(int(node))) is None:
                continue
            kinds[place], thresholds[place] = _CATEGORY | _MISSING_IS_NAN, len(ends) - 1
            words = [0] * (max(codes, default=0) // 32 + 1)
            for code in codes:
                words[code // 32] |= 1 << (code % 32)
            bits += words
            ends.append(len(bits))
        return kinds, thresholds, ends, bits


def tree_contributions(trees: Sequence[Tree], matrix: Floats) -> Floats:
    """Exact Shapley values (n, d + 1) of the sum of the trees for the rows of a matrix (n, d); base last.

    The base is the mean of the trees over the rows of their training. The sum of a row is what its leaves
    give. Raises `NotInstalledError` with the remedy if LightGBM is missing.
    """
    BOOSTERS["lightgbm"].check_installed()
    import lightgbm as lgb

    features = matrix.shape[1]
    names = " ".join(f"f{place}" for place in range(features))
    blocks = [f"Tree={number}\n{tree.text()}\n\n" for number, tree in enumerate(trees)]
    head = {
        "version": "v4",
        "num_class": 1,
        "num_tree_per_iteration": 1,
        "label_index": 0,
        "max_feature_idx": features - 1,
        "objective": "regression",
        "feature_names": names,
        "feature_infos": " ".join(["none"] * features),
        "tree_sizes": " ".join(str(len(block)) for block in blocks),
    }
    lines = "".join(f"{name}={value}\n" for name, value in head.items())
    model = lgb.Booster(model_str=f"tree\n{lines}\n{''.join(blocks)}end of trees\n")
    found = model.predict(matrix, pred_contrib=True, num_threads=1, predict_disable_shape_check=True)
    return np.asarray(found, dtype=np.float64)


def _numbers(values: Any) -> str:
    return " ".join(repr(value) for value in np.asarray(values).tolist())
