"""Which feature each column comes from that steps before an estimator made."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer

from evergreen.contributions.explainable import heart_of
from evergreen.errors import SpecError

_MARK = re.compile("\x02(\\d+)\x03")


def sources_of(steps: Sequence[Any], features: int) -> list[int]:
    """The place of the feature that each column comes from after fitted steps, of so many features.

    Raises `SpecError` for a step that mixes features.
    """
    found = list(range(features))
    for step in steps:
        found = [found[place] for place in _of_step(step, len(found))]
    return found


def check_sources(model: Any) -> None:
    """Raise `SpecError` if a step of a fitted model mixes features."""
    sources_of(heart_of(model).steps, model.n_features_in_)


def _of_step(step: Any, columns: int) -> list[int]:
    if not isinstance(step, ColumnTransformer):
        return _of_names(step, columns)
    names = list(getattr(step, "feature_names_in_", range(columns)))
    found: dict[int, int] = {}
    for name, transformer, chosen in step.transformers_:
        out = step.output_indices_[name]
        if out.stop == out.start:
            continue
        places = [names.index(one) if one in names else int(one) for one in _chosen(chosen, names)]
        inner = list(range(len(places)))
        if not isinstance(transformer, str):
            inner = _of_step(transformer, len(places))
        found |= dict(zip(range(out.start, out.stop), (places[one] for one in inner), strict=True))
    return [found[place] for place in sorted(found)]


def _chosen(chosen: Any, names: list[Any]) -> list[Any]:
    if isinstance(chosen, slice):
        return list(names[chosen])
    places = list(chosen)
    if places and all(isinstance(one, bool | np.bool_) for one in places):
        return [name for name, taken in zip(names, places, strict=True) if taken]
    return places


def _of_names(step: Any, columns: int) -> list[int]:
    # The names of a step's columns are made of those of the features that they are computed from.
    unnamed = copy.copy(step)
    vars(unnamed).pop("feature_names_in_", None)
    try:
        names: list[Any] = unnamed.get_feature_names_out([f"\x02{place}\x03" for place in range(columns)])
    except (AttributeError, ValueError):
        names = [""]
    found = [set(_MARK.findall(str(name))) for name in names]
    if any(len(one) != 1 for one in found):
        raise SpecError(
            f"{type(step).__name__} mixes features, so that none has a contribution of its own: leave it or "
            "'explain' out"
        )
    return [int(one.pop()) for one in found]
