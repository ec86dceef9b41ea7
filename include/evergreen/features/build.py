"""Features: built from rows by the pipeline's function and its feature sets, and checked.

A function gets a copy of the rows of one or more partitions together with those of `look_back` before them,
in the order of time, and returns one row of features for each, with the same index. What it does to its copy,
or later to what it returned, changes neither rows nor features.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pandas as pd

from evergreen.calendar import Length
from evergreen.errors import EvergreenError, SpecError, one_line
from evergreen.features.columns import columns_given
from evergreen.features.functions import Build, load_functions
from evergreen.lake import PARTITION
from evergreen.spec import Spec


def build_features(spec: Spec, rows: pd.DataFrame) -> pd.DataFrame:
    """The features of the rows, one row each, with the index of `rows`: the sets' columns, then the others.

    `rows` are the wanted partitions and their look-back, in any order; each function gets them sorted by
    `in_order`, in the columns of `columns_given`. Raises `SpecError` if a column of `features.columns` is
    missing, if a function fails, or if its result has other rows, no columns, a column twice, a column that
    another function returns too, a target, or the lake's own column.
    """
    ordered = _given(spec, in_order(spec, rows))
    parts = {origin: _built(spec, origin, build, ordered) for origin, build in load_functions(spec).items()}
    _check_apart(spec, parts)
    first, *others = parts.values()
    features = pd.concat([first, *others], axis=1) if others else first
    return features.loc[rows.index] if not features.index.equals(rows.index) else features


def each_function(spec: Spec) -> Iterator[Spec]:
    """For each feature function the description with this function alone and its declared look-back.

    The features of all of them, side by side, are those of the whole description.
    """
    if not spec.feature_sets:
        yield spec
        return
    for shared in spec.feature_sets:
        alone: dict[str, object] = {"function": None, "sets": (shared.name,), "look_back": Length(0)}
        yield _with(spec, alone, feature_sets=(shared,))
    if spec.features.function:
        yield _with(spec, {"sets": ()}, feature_sets=())


def _with(spec: Spec, features: dict[str, object], **others: object) -> Spec:
    return spec.model_copy(update={"features": spec.features.model_copy(update=features), **others})


def in_order(spec: Spec, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows sorted by time and key; the same frame if it is sorted already. The index is kept.

    Raises `SpecError` if a key column is missing.
    """
    by = list(dict.fromkeys([*([spec.time_column] if spec.time_column else []), *spec.keys]))
    if missing := [column for column in by if column not in rows.columns]:
        raise SpecError(
            f"{spec.name}: the rows have no column {', '.join(missing)}: fix 'key' or the sources"
        )
    if not rows.index.is_unique:
        raise SpecError(f"{spec.name}: the rows' index has duplicates: reset it before building features")
    if len(rows) < 2 or (len(by) == 1 and rows[by[0]].is_monotonic_increasing):
        return rows
    return rows.sort_values(by, kind="stable")


def rows_to_score(spec: Spec, rows: pd.DataFrame, partition: str) -> pd.DataFrame:
    """The rows that scoring a partition reads: its own, without any target, and its look-back.

    The targets are the pipeline's and the others of its description. With delayed labels, no row has the
    pipeline's own.
    """
    key = rows[PARTITION]
    first = spec.looks_back_to(partition)
    within = ((key >= first) & (key <= partition)).to_numpy(bool)
    seen = (rows if within.all() else rows[within]).copy()
    for target in spec.targets:
        if target in seen.columns:
            seen[target] = seen[target].where(seen[PARTITION] != partition)
    return seen.drop(columns=[spec.target]) if spec.labels and spec.target in seen.columns else seen


def _given(spec: Spec, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows in the columns that functions get."""
    if missing := [name for name in spec.features.columns if name not in rows.columns]:
        raise SpecError(
            f"{spec.name}: features.columns: the rows have no column '{missing[0]}': fix the sources, or "
            "name another"
        )
    names = columns_given(spec, rows.columns)
    return rows if len(names) == len(rows.columns) else rows[names]


def _built(spec: Spec, origin: str, build: Build, rows: pd.DataFrame) -> pd.DataFrame:
    code = spec.feature_code
    where = f"{spec.name}: features ({origin}{f' of version {code.version}' if code else ''})"
    given = _copied(rows)
    # One that no function gets by counting its rows anew: of those the order may be another.
    given.index = index = pd.RangeIndex(1, len(rows) + 1)
    try:
        features = build(given)
    except EvergreenError:
        raise
    except Exception as error:
        remedy = "train a new version" if code else _remedy(spec, error)
        raise SpecError(f"{where} failed with {type(error).__name__}: {one_line(error)}: {remedy}") from error
    _check(spec, where, index, features)
    return _copied(features).set_axis(rows.index)


def _remedy(spec: Spec, error: Exception) -> str:
    lacks = isinstance(error, KeyError) or "'DataFrame' object has no attribute" in str(error)
    if spec.features.columns and lacks:
        return "if it is a column of the rows, name it in features.columns, else fix the function"
    return "fix the function"


def _copied(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame without anything shared, not even the lists and dicts in a column."""
    copy = frame.copy(deep=True)
    for name, kind in copy.dtypes.items():
        if pd.api.types.is_object_dtype(kind) and pd.api.types.infer_dtype(copy[name]) == "mixed":
            copy[name] = copy[name].map(deepcopy)
    return copy


def _check(spec: Spec, where: str, index: pd.Index, features: pd.DataFrame) -> None:
    if not isinstance(features, pd.DataFrame):
        raise SpecError(f"{where} returned {type(features).__name__}: return a DataFrame")
    if not features.index.equals(index):
        found = f"{len(features)} rows for {len(index)}, or under another index"
        if len(features) == len(index) and set(features.index) == set(index):
            found = "its rows in another order"
        raise SpecError(
            f"{where} returned {found}: give one row of features for each row, with the rows' own index in "
            "its order"
        )
    if features.columns.empty:
        raise SpecError(f"{where} returned no columns: give at least one feature")
    if not features.columns.is_unique:
        twice = ", ".join(sorted({str(name) for name in features.columns[features.columns.duplicated()]}))
        raise SpecError(f"{where} returned columns twice: {twice}: name each once")
    if not all(isinstance(name, str) for name in features.columns):
        raise SpecError(f"{where} returned columns whose names are not text: name them with strings")
    if given_away := [target for target in spec.targets if target in features.columns]:
        raise SpecError(f"{where} returned the target '{given_away[0]}' as a feature: leave it out")
    if PARTITION in features.columns:
        raise SpecError(
            f"{where} returned '{PARTITION}' as a feature, which is the lake's own column and no data: leave "
            f"it out, as in rows.drop(columns=['{PARTITION}'])"
        )


def _check_apart(spec: Spec, parts: dict[str, pd.DataFrame]) -> None:
    given: dict[str, str] = {}
    for origin, features in parts.items():
        for name in features.columns:
            if name in given:
                raise SpecError(
                    f"{spec.name}: features: the column '{name}' comes from {given[name]} and from {origin}: "
                    "rename one of them"
                )
            given[name] = origin
