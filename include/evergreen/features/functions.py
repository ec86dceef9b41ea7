"""The feature functions of a pipeline: finding and loading them, and the digest of their code."""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from evergreen.errors import SpecError, one_line
from evergreen.lake import PARTITION
from evergreen.spec import Spec
from evergreen.spec.features import FEATURE_SETS

Build = Callable[[pd.DataFrame], pd.DataFrame]
"""A feature function: rows to features, pure, with the index of the rows."""

ALL_COLUMNS = "all columns but key, time, target and weight"
"""What stands for a function where there is none."""


def load_functions(spec: Spec) -> dict[str, Build]:
    """The feature functions by their place in the files: first those of sets, then the pipeline's own.

    Without any, one that returns all columns but key, time, target, weight and partition. Raises `SpecError`
    if a file or function is missing, or a file cannot be executed.
    """
    functions = {
        place.origin: _function(spec.name, place, _source(spec.name, place)) for place in _places(spec)
    }
    return functions or {ALL_COLUMNS: _all_columns(spec)}


def features_digest(spec: Spec) -> str:
    """SHA-256 (hexadecimal) of the functions' files and of what the feature sets declare."""
    content = [
        [place.origin, place.look_back, hashlib.sha256(_source(spec.name, place)).hexdigest()]
        for place in _places(spec)
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True)
class _Place:
    """The place of a function: its key path in the description, its file and its name in the file."""

    key: str
    origin: str
    file: Path
    name: str
    look_back: str = ""


def _places(spec: Spec) -> Iterator[_Place]:
    for number, shared in enumerate(spec.feature_sets):
        file, _, name = shared.function.partition(":")
        origin = f"{FEATURE_SETS}/{shared.name}/{shared.function}"
        yield _Place(f"features.sets.{number}", origin, shared.folder / file, name, str(shared.look_back))
    if spec.features.function is not None:
        file, _, name = spec.features.function.partition(":")
        yield _Place("features.function", spec.features.function, spec.folder / file, name)


def _all_columns(spec: Spec) -> Build:
    named = (spec.target, spec.time_column, spec.training.weight)
    left_out = {*spec.keys, PARTITION} | {name for name in named if name}
    return lambda rows: rows[[column for column in rows.columns if column not in left_out]]


class _SourceLoader(importlib.abc.SourceLoader):
    """Loads exactly the bytes that were digested: no bytecode cache, and the file is not read again."""

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
def _function(pipeline: str, place: _Place, source: bytes) -> Build:
    where = f"{pipeline}: {place.key}: {place.file}"
    digest = hashlib.sha256(source + str(place.file).encode()).hexdigest()[:12]
    module_name = f"evergreen_features_{pipeline}_{digest}"
    loader = _SourceLoader(place.file, source)
    module_spec = importlib.util.spec_from_loader(module_name, loader, origin=str(place.file))
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_name] = module
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise SpecError(
            f"{where} cannot be loaded: {type(error).__name__}: {one_line(error)}: fix the file"
        ) from error
    function = getattr(module, place.name, None)
    if not callable(function):
        raise SpecError(f"{where} has no function '{place.name}': define it, or name another after the colon")
    return function  # type: ignore[no-any-return]


def _source(pipeline: str, place: _Place) -> bytes:
    try:
        return place.file.read_bytes()
    except OSError:
        raise SpecError(f"{pipeline}: {place.key}: no file {place.file}: write it or fix the path") from None
