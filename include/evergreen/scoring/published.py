"""What a published prediction holds: the columns of it, in the lake and in a database's table alike.

| column | of | holds |
|---|---|---|
| `prediction` | every task | the number, class or cluster |
| `probability` | two classes | the probability of the positive one |
| `probabilities` | more classes | that of each, in the order of `model_classes` in the version's reference |
| `lower`, `upper` | with `intervals` | the interval of the first of the `levels` in the version's reference |
| `lower_99`, `upper_99` | with `intervals` | that of each further level, here 99% |
| `level`, `level_99` | with `intervals` that `adapt` | the level that the bounds of each use |
| `set` | with `sets` | the classes in the set of the first of the `levels`, in the order of `model_classes` |
| `set_99` | with `sets` | those of each further level, here 99% |
| `contributions` | with `explain` | the leading features with their contributions, the largest first |
| `base` | with `explain` | what all contributions of the row are added to |

A model that gives no probabilities has neither of their columns.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from evergreen.contributions.contributions import FEATURE, VALUE
from evergreen.contributions.explained import explained
from evergreen.errors import NotInstalledError, SpecError
from evergreen.metrics.predictions import Predictions
from evergreen.spec import Spec, Task
from evergreen.spec.positive import positive_of

PREDICTION = "prediction"
PROBABILITY = "probability"
PROBABILITIES = "probabilities"
SET = "set"
CONTRIBUTIONS = "contributions"
BASE = "base"
ACTUAL = "actual"
VERSION = "version"

_log = logging.getLogger(__name__)
_TYPES: Mapping[str, pa.DataType] = {
    PROBABILITY: pa.float64(),
    PROBABILITIES: pa.list_(pa.float64()),
    CONTRIBUTIONS: pa.list_(pa.struct({FEATURE: pa.string(), VALUE: pa.float64()})),
    BASE: pa.float64(),
}
_LEVEL = re.compile(r"(lower|upper|level|set)(_[0-9]+)*")


def is_published(name: str) -> bool:
    """Whether a version may have a column of this name or not: the table gets each once a version has it."""
    return name in _TYPES or _LEVEL.fullmatch(name) is not None


def bound_names(levels: Sequence[float]) -> list[tuple[str, str]]:
    """The columns of lower and upper bounds of each level: the first has no number, 99.5% is `_99_5`."""
    return [(f"lower{ending}", f"upper{ending}") for ending in _endings(levels)]


def level_names(levels: Sequence[float]) -> list[str]:
    """The column of the level that the bounds of each promised level use, named as they are."""
    return [f"level{ending}" for ending in _endings(levels)]


def set_names(levels: Sequence[float]) -> list[str]:
    """The column of the set of each level, named as the bounds are."""
    return [f"{SET}{ending}" for ending in _endings(levels)]


def published_columns(spec: Spec, said: Predictions, used: Sequence[float] | None = None) -> dict[str, Any]:
    """The columns (n,) by name that hold what a model said of n rows, `prediction` first.

    `used` are the levels that its bounds use, where they adapt.
    Raises `SpecError` where the model does not know the class that the description calls positive.
    """
    columns: dict[str, Any] = {PREDICTION: said.labels}
    if said.bounds is not None:
        for number, names in enumerate(bound_names(said.levels)):
            columns |= dict(zip(names, said.bounds[:, number].T, strict=True))
    for name, level in zip(level_names(said.levels), used or (), strict=False):
        columns[name] = np.full(len(said), level)
    if said.sets is not None:
        for number, name in enumerate(set_names(said.levels)):
            columns[name] = _as_lists(said.classes, said.sets[:, number])
    if said.probabilities is None:
        return columns
    if len(said.classes) == 2:
        return columns | {PROBABILITY: said.probabilities[:, positive_of(spec, said.classes)]}
    return columns | {PROBABILITIES: list(said.probabilities)}


def explained_columns(spec: Spec, model: Any, features: pd.DataFrame, said: Predictions) -> dict[str, Any]:
    """The columns (n,) by name that explain what a model said; none where the description does not ask.

    Raises `NotInstalledError` where a package is missing that explains it: what is published must not depend
    on the machine.
    """
    if spec.explain is None:
        return {}
    try:
        found = explained(spec, model, features, said)
    except NotInstalledError as error:
        raise NotInstalledError(f"{spec.name}: {error}") from None
    except SpecError as error:
        # A training refuses such a model, so this one is older than `explain` in the description.
        _log.warning(
            "%s: no contributions are published until a new version is trained: %s", spec.name, error
        )
        return {}
    return {CONTRIBUTIONS: found.leading(spec.explain), BASE: found.base}


def published_types(spec: Spec, target: pa.DataType | None, columns: Sequence[str]) -> dict[str, pa.DataType]:
    """The type of each of the columns that `published_columns` gave; `target` is that of the rows' target."""
    own = {Task.REGRESSION: pa.float64(), Task.CLUSTERING: pa.int64()}.get(spec.task, target)
    types = {**_TYPES, PREDICTION: own}
    if own is not None:
        types |= {name: pa.list_(own) for name in columns if name.startswith(SET) and is_published(name)}
    return {name: types.get(name, pa.float64()) for name in columns}


def read_published(
    spec: Spec, rows: pd.DataFrame, classes: Sequence[Any], levels: Sequence[float] = ()
) -> Predictions:
    """What the model said of the rows (n) of published predictions.

    `classes` and `levels` are those of their version. Without probabilities, bounds or sets where the rows
    hold none, as those that were scored by an older release.
    """
    labels = rows[PREDICTION].to_numpy()
    if (bounds := _bounds(rows, levels)) is not None:
        return Predictions(labels, bounds=bounds, levels=tuple(levels))
    if (found := _probabilities(spec, rows, classes)) is None:
        return Predictions(labels)
    if (sets := _sets(rows, classes, levels)) is None:
        return Predictions(labels, found, tuple(classes))
    return Predictions(labels, found, tuple(classes), levels=tuple(levels), sets=sets)


def _endings(levels: Sequence[float]) -> list[str]:
    return [f"_{level * 100:g}".replace(".", "_") if number else "" for number, level in enumerate(levels)]


def _as_lists(classes: Sequence[Any], members: NDArray[np.bool_]) -> list[list[Any]]:
    """The classes that each row (n, k) has as members."""
    return [[name for name, member in zip(classes, row, strict=True) if member] for row in members.tolist()]


def _bounds(rows: pd.DataFrame, levels: Sequence[float]) -> NDArray[np.float64] | None:
    """Lower and upper bounds (n, levels, 2), NaN in rows without them."""
    names = [name for pair in bound_names(levels) for name in pair]
    if not names or not set(names) <= set(rows):
        return None
    found = rows[names].to_numpy(dtype=np.float64, na_value=np.nan)
    return found.reshape(len(rows), len(levels), 2)


def _sets(rows: pd.DataFrame, classes: Sequence[Any], levels: Sequence[float]) -> NDArray[np.bool_] | None:
    """Which of the k classes are in the sets (n, levels, k)."""
    names = set_names(levels)
    if not names or not set(names) <= set(rows) or rows[names].isna().any(axis=None):
        return None
    found = [[[one in list(held) for one in classes] for held in rows[name]] for name in names]
    return np.array(found, dtype=bool).reshape(len(names), len(rows), len(classes)).swapaxes(0, 1)


def _probabilities(spec: Spec, rows: pd.DataFrame, classes: Sequence[Any]) -> NDArray[np.float64] | None:
    if len(classes) == 2:
        if PROBABILITY not in rows or rows[PROBABILITY].isna().all():
            return None
        positive = rows[PROBABILITY].to_numpy(dtype=np.float64, na_value=np.nan)
        found = np.empty((len(rows), 2))
        place = positive_of(spec, classes)
        found[:, place], found[:, 1 - place] = positive, 1 - positive
        return found
    if not len(rows) or PROBABILITIES not in rows or rows[PROBABILITIES].isna().any():
        return None
    found = np.vstack(rows[PROBABILITIES].to_list()).astype(np.float64)
    return found if found.shape[1] == len(classes) else None


def in_columns(there: pa.Schema | None, predictions: pa.Table) -> tuple[pa.Table, pa.Schema]:
    """The predictions with the columns that they lack of their table as it is `there`; the table's schema.

    What no version before has said becomes a column of the table, which is null in earlier partitions.
    """
    there = there or predictions.schema
    new = [field for field in predictions.schema if field.name not in there.names]
    schema = pa.schema([*there, *(field for field in new if is_published(field.name))])
    for field in schema:
        if is_published(field.name) and field.name not in predictions.column_names:
            predictions = predictions.append_column(field, pa.nulls(len(predictions), field.type))
    return predictions, schema
