"""All trees of an ensemble joined to one, so that the leaves of a row are found by one call.

scikit-learn calls each tree by itself, and for few rows the calls take far longer than the trees. The joined
tree first splits by the tree's number, which is one more feature, and then as each tree does. It is walked by
the compiled code that walks scikit-learn's histogram-based trees, and the leaves' values are added in
scikit-learn's order. So the sums are equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

Floats = NDArray[np.float64]

MOST_NODES = 2**22
"""How many nodes are joined at most: they are copied, at 56 bytes each."""

_BLOCK = 2**17  # numbers that are walked at once, so that they stay in the processor's cache
_WORDS = 8  # of 32 bits, in a set of categories


@dataclass(frozen=True, eq=False)
class Categories:
    """The `sets` (splits, 8) of categories that go left, as bits, and those that are `known` (columns, 8).

    `places` (d,) is the row of `known` for each feature.
    """

    sets: NDArray[np.uint32]
    known: NDArray[np.uint32]
    places: NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Joined:
    """Joined trees, and the values of their leaves.

    `start` (k,) is what the values are added to. A leaf has `values` (leaves, v): all k of them, or one where
    the trees give them in turn.
    """

    nodes: NDArray[Any] = field(repr=False)
    categories: Categories = field(repr=False)
    trees: int
    start: Floats
    values: Floats = field(repr=False)

    def sums(self, matrix: NDArray[Any]) -> Floats:
        """The sums (n, k) over all trees of the values of the leaves that rows (n, d) of numbers lead to."""
        width = self.trees * (matrix.shape[1] + 1)
        rows = max(1, _BLOCK // width)
        blocks = [self._sums(matrix[first : first + rows]) for first in range(0, len(matrix), rows)]
        return np.concatenate(blocks)

    def _sums(self, matrix: NDArray[Any]) -> Floats:
        count, columns = matrix.shape
        each = np.empty((count, self.trees, columns + 1))
        each[:, :, :columns] = matrix[:, None, :]
        each[:, :, columns] = np.arange(self.trees)
        leaves = np.empty(count * self.trees)
        numbers, of = each.reshape(len(leaves), columns + 1), self.categories
        _predict_from_raw_data(self.nodes, numbers, of.sets, of.known, of.places, 1, leaves)
        values = self.values[leaves.astype(np.intp)].reshape(count, -1, len(self.start))
        start = np.broadcast_to(self.start, (count, 1, len(self.start)))
        # numpy's own sum adds in pairs; accumulating adds one after another, as scikit-learn does.
        sums: Floats = np.add.accumulate(np.concatenate([start, values], axis=1), axis=1)[:, -1]
        return sums


def join_binned(estimator: Any, trees: Sequence[Any]) -> Joined:
    """The trees of a fitted histogram-based gradient boosting, round by round."""
    known, places = estimator._bin_mapper.make_known_categories_bitsets()
    sets = [np.asarray(one.raw_left_cat_bitsets, np.uint32).reshape(-1, _WORDS) for one in trees]
    nodes = [one.nodes.copy() for one in trees]
    for own, before in zip(nodes, _starts(sets), strict=True):
        own["bitset_idx"] += np.uint32(before)
    values = np.concatenate([own["value"] for own in nodes]).reshape(-1, 1)
    start = np.asarray(estimator._baseline_prediction, np.float64).reshape(-1)
    return _joined(nodes, Categories(np.concatenate(sets), known, places), start, values)


def join_plain(trees: Sequence[Any], features: int, start: Floats, scale: float = 1.0) -> Joined:
    """The `tree_` of scikit-learn's other trees of so many features; values are multiplied by `scale`."""
    values = np.concatenate([scale * np.asarray(one.value[:, 0, :], np.float64) for one in trees])
    none = np.zeros((0, _WORDS), np.uint32)
    categories = Categories(none, none, np.zeros(features, np.uint32))
    return _joined([*map(_nodes, trees)], categories, start, values)


def _nodes(tree: Any) -> NDArray[Any]:
    leaf = tree.children_left < 0
    nodes = np.zeros(tree.node_count, PREDICTOR_RECORD_DTYPE)
    nodes["is_leaf"] = leaf
    nodes["feature_idx"] = np.where(leaf, 0, tree.feature)
    nodes["num_threshold"] = tree.threshold
    nodes["missing_go_to_left"] = tree.missing_go_to_left
    nodes["left"] = np.where(leaf, 0, tree.children_left)
    nodes["right"] = np.where(leaf, 0, tree.children_right)
    return nodes


def _joined(trees: Sequence[NDArray[Any]], categories: Categories, start: Floats, values: Floats) -> Joined:
    firsts = [len(trees) - 1 + before for before in _starts(trees)]
    nodes = np.concatenate([_ways(firsts, len(categories.places)), *trees])
    for first, tree in zip(firsts, trees, strict=True):
        own = nodes[first : first + len(tree)]
        own["left"] += np.uint32(first)
        own["right"] += np.uint32(first)
    nodes["value"][len(trees) - 1 :] = np.arange(len(values))
    # The trees' number is a feature too.
    categories = replace(categories, places=np.append(categories.places, np.uint32(0)))
    return Joined(nodes, categories, len(trees), start, values)


def _ways(firsts: Sequence[int], feature: int) -> NDArray[Any]:
    """The nodes that lead to the first node of each tree by its number, which is in the column `feature`."""
    nodes = np.zeros(len(firsts) - 1, PREDICTOR_RECORD_DTYPE)
    nodes["feature_idx"] = feature
    numbers = iter(range(len(nodes)))

    def way(low: int, high: int) -> int:
        if high - low == 1:
            return firsts[low]
        own, middle = next(numbers), (low + high) // 2
        nodes["num_threshold"][own] = middle - 1
        nodes["left"][own], nodes["right"][own] = way(low, middle), way(middle, high)
        return own

    way(0, len(firsts))
    return nodes


def _starts(parts: Sequence[NDArray[Any]]) -> list[int]:
    """Where each of the parts begins once they are put together."""
    return [0, *accumulate(map(len, parts))][:-1]
