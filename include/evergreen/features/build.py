"""Features: the pipeline's own function, loaded from its folder, and what it must keep to.

The function gets the rows of one or more partitions together with those of `look_back` before them, in the
order of time, and gives one row of features for each, under the same index.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pandas as pd

from evergreen.errors import EvergreenError, SpecError
from evergreen.lake import PARTITION
from evergreen.spec import Spec

Build = Callable[[pd.DataFrame], pd.DataFrame]
"""A pipeline's feature function: rows to features, pure, with the index of the rows."""


def build_features(spec: Spec, rows: pd.DataFrame) -> pd.DataFrame:
    """The features of the rows, one row each, with the index of `rows`.

    `rows` hold the partitions wanted and their look-back, in any order: the function sees them in the order
    of `in_order`. Raises `SpecError` if the function fails, or if what it returns has other rows, a column
    twice, none at all, or the target itself.
    """
    ordered = in_order(spec, rows)
    build = load_function(spec)
    try:
        features = build(ordered)
    except EvergreenError:
        raise
    except Exception as error:
        raise SpecError(
            f"{_origin(spec)} failed with {type(error).__name__}: {_line(error)}: mend the function"
        ) from error
    _check(spec, ordered, features)
    return features.loc[rows.index] if not features.index.equals(rows.index) else features


def in_order(spec: Spec, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows by time and key; the same frame where they already are. The index is kept.

    Raises `SpecError` if a column that names a row is missing.
    """
    by = list(dict.fromkeys([*([spec.time_column] if spec.time_column else []), *spec.keys]))
    if missing := [column for column in by if column not in rows.columns]:
        raise SpecError(
            f"{spec.name}: the rows have no column {', '.join(missing)}: mend 'key' or the sources"
        )
    if not rows.index.is_unique:
        raise SpecError(f"{spec.name}: the rows' index has duplicates: reset it before building features")
    if len(by) == 1 and rows[by[0]].is_monotonic_increasing:
        return rows
    return rows.sort_values(by, kind="stable")


def rows_to_score(spec: Spec, rows: pd.DataFrame, partition: str) -> pd.DataFrame:
    """The rows that scoring a partition sees: it and its look-back, its own target unknown."""
    key = rows[PARTITION]
    first = spec.calendar.back(partition, spec.features.look_back)
    seen = rows[(key >= first) & (key <= partition)].copy()
    if spec.target and spec.target in seen.columns:
        seen[spec.target] = seen[spec.target].where(seen[PARTITION] != partition)
    return seen


def load_function(spec: Spec) -> Build:
    """The pipeline's feature function; without one, all columns but key, time, target and partition.

    Raises `SpecError` if the file or the function is missing, or the file cannot be executed.
    """
    if spec.features.function is None:
        left_out = {*spec.keys, PARTITION} | {name for name in (spec.target, spec.time_column) if name}
        return lambda rows: rows[[column for column in rows.columns if column not in left_out]]
    file, name = _located(spec)
    return _function(spec.name, file, name, _source(spec))


def features_digest(spec: Spec) -> str:
    """SHA-256 (hexadecimal) of the source of the feature function's file; of nothing where there is none."""
    return hashlib.sha256(_source(spec) if spec.features.function else b"").hexdigest()


class _SourceLoader(importlib.abc.SourceLoader):
    """Loads exactly the bytes that were digested: no bytecode cache, no second look at the file."""

    def __init__(self, file: Path, source: bytes) -> None:
        self._file = file
        self._source = source

    def get_filename(self, fullname: str) -> str:
        return str(self._file)

    def get_data(self, path: str | bytes) -> bytes:
        if str(path) != str(self._file):
            raise FileNotFoundError(str(path))
        return self._source


@lru_cache(maxsize=64)
def _function(pipeline: str, file: Path, name: str, source: bytes) -> Build:
    where = f"{pipeline}: features.function: {file}"
    module_name = f"evergreen_features_{pipeline}_{hashlib.sha256(source).hexdigest()[:12]}"
    module_spec = importlib.util.spec_from_loader(module_name, _SourceLoader(file, source), origin=str(file))
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_name] = module
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise SpecError(
            f"{where} cannot be loaded: {type(error).__name__}: {_line(error)}: mend the file"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise SpecError(f"{where} has no function '{name}': define it, or name another after the colon")
    return function  # type: ignore[no-any-return]


def _located(spec: Spec) -> tuple[Path, str]:
    assert spec.features.function is not None
    path, _, name = spec.features.function.partition(":")
    return spec.folder / path, name


def _source(spec: Spec) -> bytes:
    file, _ = _located(spec)
    try:
        return file.read_bytes()
    except OSError:
        raise SpecError(
            f"{spec.name}: features.function: no file {file}: write it or mend the path"
        ) from None


def _check(spec: Spec, rows: pd.DataFrame, features: pd.DataFrame) -> None:
    where = _origin(spec)
    if not isinstance(features, pd.DataFrame):
        raise SpecError(f"{where} returned {type(features).__name__}: return a DataFrame")
    if not features.index.equals(rows.index):
        raise SpecError(
            f"{where} returned {len(features)} rows for {len(rows)}, or under another index: give one row of "
            "features for each row, with the rows' own index"
        )
    if features.columns.empty:
        raise SpecError(f"{where} returned no columns: give at least one feature")
    if not features.columns.is_unique:
        twice = ", ".join(sorted({str(name) for name in features.columns[features.columns.duplicated()]}))
        raise SpecError(f"{where} returned columns twice: {twice}: name each once")
    if not all(isinstance(name, str) for name in features.columns):
        raise SpecError(f"{where} returned columns whose names are not text: name them with strings")
    if spec.target in features.columns:
        raise SpecError(f"{where} returned the target '{spec.target}' as a feature: leave it out")


def _origin(spec: Spec) -> str:
    return f"{spec.name}: features ({spec.features.function or 'all columns'})"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
