"""The check of a model in LightGBM's text format, before LightGBM parses it.

LightGBM trusts the file: a number that is out of its range, or a list that is too short, ends the process or
reads what is not the model's. So everything that its parser and its prediction use as a length or a place is
checked here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evergreen.boosters.library import check_tree, numbers

END = "end of trees\n"
_HEAD = frozenset(
    {
        "version",
        "num_class",
        "num_tree_per_iteration",
        "label_index",
        "max_feature_idx",
        "objective",
        "average_output",
        "feature_names",
        "monotone_constraints",
        "feature_infos",
        "tree_sizes",
    }
)
_FLOATS = {  # how many more than inner nodes
    "split_gain": 0,
    "threshold": 0,
    "internal_value": 0,
    "internal_weight": 0,
    "internal_count": 0,
    "leaf_value": 1,
    "leaf_weight": 1,
    "leaf_count": 1,
}
_INTEGERS = frozenset(
    {"num_leaves", "num_cat", "split_feature", "decision_type", "left_child", "right_child"}
)
_CATEGORIES = frozenset({"cat_boundaries", "cat_threshold"})
_TREE = _INTEGERS | _CATEGORIES | set(_FLOATS) | {"is_linear", "shrinkage"}
_OBJECTIVE = re.compile(r"[a-z_0-9]+( [a-z_0-9]+(:[-+.e0-9]+)?)*")
_MOST = 1 << 20  # leaves or categories of a tree


def check_text(text: str, features: int, outputs: int) -> None:
    """Raise `ValueError` unless the text is a model of so many features and outputs, and is whole."""
    head, _, rest = text.partition("\n\n")
    first, _, lines = head.partition("\n")
    if first != "tree" or not rest.endswith(END):
        raise ValueError("it is no whole model of LightGBM")
    found = _fields(lines, _HEAD, {"average_output"})
    # LightGBM's own number of classes is that of the outputs.
    wanted = {
        "version": "v4",
        "num_class": str(outputs),
        "num_tree_per_iteration": str(outputs),
        "label_index": "0",
        "max_feature_idx": str(features - 1),
    }
    if different := [name for name, value in wanted.items() if found.get(name) != value]:
        raise ValueError(f"its {different[0]} is {found.get(different[0])} instead of {wanted[different[0]]}")
    if not _OBJECTIVE.fullmatch(found.get("objective", "")):
        raise ValueError("its objective is none")
    for name in {"feature_names", "feature_infos", "monotone_constraints"} & set(found):
        if len(found[name].split(" ")) != features:
            raise ValueError(f"its {name} are not those of {features} features")
    _check_trees(rest.removesuffix(END), found.get("tree_sizes", ""), features, outputs)


def _check_trees(text: str, sizes: str, features: int, outputs: int) -> None:
    lengths = [int(size) for size in sizes.split()]
    # Trees are ASCII, so characters are bytes.
    if min(lengths, default=0) < 1 or not 0 <= len(text) - sum(lengths) <= 1 or len(lengths) % outputs:
        raise ValueError("its trees are not as long as it says")
    start = 0
    for number, length in enumerate(lengths):
        block = text[start : start + length]
        start += length
        title = f"Tree={number}\n"
        if not block.startswith(title) or not block.endswith("\n"):
            raise ValueError(f"its tree {number} does not begin where it says")
        _check_tree(_fields(block.removeprefix(title), frozenset(_TREE), set()), features)
    if text[start:].strip("\n"):
        raise ValueError("there is something between its trees")


def _check_tree(found: Mapping[str, str], features: int) -> None:
    leaves, categories = _whole(found, "num_leaves", 1), _whole(found, "num_cat", 0)
    if found.get("is_linear", "0") != "0":
        raise ValueError("a tree has linear leaves")
    inner = leaves - 1
    for name, more in _FLOATS.items():
        # A tree of one leaf has its value alone.
        if inner or name == "leaf_value":
            _floats(found, name, inner + more)
    if not inner:
        return
    _integers(found, "split_feature", inner, 0, features)
    kinds = _integers(found, "decision_type", inner, 0, 16)
    left, right = (_integers(found, f"{side}_child", inner, -leaves, inner) for side in ("left", "right"))
    check_tree(left[left >= 0], right[right >= 0], inner)
    of_categories = (kinds & 1).astype(bool)
    _check_categories(found, _floats(found, "threshold", inner)[of_categories], categories)


def _check_categories(found: Mapping[str, str], places: NDArray[np.float64], categories: int) -> None:
    if not categories:
        if len(places) or _CATEGORIES & set(found):
            raise ValueError("a tree has categories that are not there")
        return
    if not (np.isin(places, np.arange(categories)).all()):
        raise ValueError("a tree has categories that are not there")
    ends = _integers(found, "cat_boundaries", categories + 1, 0, _MOST)
    if ends[0] != 0 or (np.diff(ends) < 1).any():
        raise ValueError("the categories of a tree are out of order")
    _integers(found, "cat_threshold", int(ends[-1]), 0, 1 << 32)


def _fields(lines: str, allowed: frozenset[str], bare: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines.split("\n"):
        name, separator, value = line.partition("=")
        if not line:
            continue
        if name not in allowed or name in found or not (separator or name in bare):
            raise ValueError(f"it has the line '{line[:40]}', which is none of a model")
        found[name] = value
    return found


def _whole(found: Mapping[str, str], name: str, low: int) -> int:
    value = found.get(name, "")
    if not value.isdecimal() or not low <= int(value) < _MOST:
        raise ValueError(f"a tree has no {name}")
    return int(value)


def _integers(found: Mapping[str, str], name: str, count: int, low: int, high: int) -> NDArray[np.int64]:
    return numbers(_parsed(found, name, np.int64), count, low, high)


def _floats(found: Mapping[str, str], name: str, count: int) -> NDArray[np.float64]:
    values = _parsed(found, name, np.float64)
    # A split between what is missing and all numbers is at infinity.
    wrong = np.isnan if name == "threshold" else _not_finite
    if values.shape != (count,) or wrong(values).any():
        raise ValueError(f"the {name} of a tree are not {count} numbers")
    return values


def _not_finite(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return ~np.isfinite(values)


def _parsed(found: Mapping[str, str], name: str, kind: Any) -> NDArray[Any]:
    try:
        return np.array(found.get(name, "").split(" "), dtype=np.float64 if kind is np.float64 else np.int64)
    except (ValueError, OverflowError):
        raise ValueError(f"the {name} of a tree are no numbers") from None
