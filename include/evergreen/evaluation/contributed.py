"""How far each feature moves predictions, and to which side: its contributions on the hold-out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.contributions.explainable import heart_of
from evergreen.contributions.explained import explained, explained_classes
from evergreen.contributions.unit import Unit, unit_of
from evergreen.evaluation.held_rows import HeldRows
from evergreen.spec import Spec
from evergreen.spec.positive import positive_of

_MOST_ROWS = 2_000
_NOISE = 1e-9  # of the largest contribution: what is smaller comes from rounding


def contributed(spec: Spec, model: Any, held: HeldRows) -> dict[str, Any] | None:
    """Mean absolute contribution of each feature on rows of the hold-out, and its direction.

    As in Lundberg et al. 2020, "From local explanations to global understanding with explainable AI for
    trees". Of at most 2,000 `rows`: `size` is in the `unit` of the contributions, the largest first, and by
    name where two are equal. `direction` is Spearman's rank correlation of the feature's values and its
    contributions, -1 to 1: above 0, larger values move the prediction up. It is None for texts and
    categories, for a feature without any effect, and where more than two classes are told apart, of which
    each row's own is explained. None where the description does not ask for contributions.
    """
    if spec.explain is None:
        return None
    some = held.some(_MOST_ROWS, spec.training.seed)
    found = explained(spec, model, some.features, some.predictions)
    many = len(explained_classes(model)) > 2
    sizes = np.abs(found.values).mean(axis=0)
    noise = _NOISE * float(sizes.max(initial=0.0))
    features: list[dict[str, Any]] = [
        {
            "name": name,
            "size": float(size),
            "direction": None if many else _direction(some.features[name], values, noise),
        }
        for name, size, values in zip(found.names, sizes, found.values.T, strict=True)
    ]
    features.sort(key=lambda feature: (-feature["size"], feature["name"]))
    return {"rows": len(some), "unit": _unit(spec, model, some.features), "features": features}


def _direction(feature: pd.Series, contributions: NDArray[np.float64], noise: float) -> float | None:
    if not (pd.api.types.is_numeric_dtype(feature.dtype) or pd.api.types.is_bool_dtype(feature.dtype)):
        return None
    both = pd.DataFrame(
        {
            "value": feature.to_numpy(dtype=np.float64, na_value=np.nan),
            "moved": np.round(contributions / noise) if noise else contributions,
        }
    ).dropna()
    if (both.nunique() < 2).any():
        return None
    return float(both["value"].rank().corr(both["moved"].rank()))


def _unit(spec: Spec, model: Any, features: pd.DataFrame) -> str:
    """The unit in words."""
    classes = explained_classes(model)
    named = f"'{classes[positive_of(spec, classes)]}'" if len(classes) == 2 else "the predicted class"
    of = f"log1p of {spec.target}" if heart_of(model).transforms else spec.target
    words: Mapping[Unit, str] = {
        Unit.TARGET: str(of),
        Unit.LOGARITHM: f"logarithm of {of}",
        Unit.LOG_ODDS: f"log-odds of {named}",
        Unit.PROBABILITY: f"probability of {named}",
        Unit.SCORE: f"score of {named}",
    }
    return words[unit_of(model, features)]
