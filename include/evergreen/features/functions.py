"""The feature functions of a pipeline: finding and loading them, and the digest of their code.

Their code is that of the files in the folder of pipelines or, where the description has the `feature_code` of
a stored version, the code that is there. Nothing is executed before `load_functions` is called.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import json
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from types import ModuleType

import pandas as pd

from evergreen.errors import SpecError, one_line
from evergreen.lake import PARTITION
from evergreen.spec import Spec
from evergreen.spec.features import FEATURE_SETS

Build = Callable[[pd.DataFrame], pd.DataFrame]
"""A feature function: rows to features, pure, with the index of the rows."""

ALL_COLUMNS = "all columns but key, time, target and weight"
"""What stands for a function where there is none."""

_MOST = 64
"""How many files stay loaded in a process."""


def load_functions(spec: Spec) -> dict[str, Build]:
    """The feature functions by their place in the files: first those of sets, then the pipeline's own.

    Without any, one that returns all columns but key, time, targets, weight and partition; of a stored
    version, the columns that it was trained on. Raises `SpecError` if a file or function is missing, or a
    file cannot be executed.
    """
    found = {place.origin: _function(spec, place, source(spec, place)) for place in places(spec)}
    return found or {ALL_COLUMNS: _all_columns(spec)}


def features_digest(spec: Spec) -> str:
    """SHA-256 (hexadecimal) of the functions' files and of what the feature sets declare."""
    content = [
        [place.origin, place.look_back, hashlib.sha256(source(spec, place)).hexdigest()]
        for place in places(spec)
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True)
class Place:
    """The place of a function: its key path in the description, its file and its name in the file.

    `folder` is that of the pipeline or of the set, and `origin` names the function among all.
    """

    key: str
    origin: str
    folder: Path
    within: str
    name: str
    look_back: str = ""

    @property
    def file(self) -> Path:
        """The file of the function."""
        return self.folder / self.within


def places(spec: Spec) -> list[Place]:
    """The places of the described functions: first those of sets, then the pipeline's own."""
    found = []
    for number, shared in enumerate(spec.feature_sets):
        file, _, name = shared.function.partition(":")
        origin = f"{FEATURE_SETS}/{shared.name}/{shared.function}"
        look_back = str(shared.look_back)
        found.append(Place(f"features.sets.{number}", origin, shared.folder, file, name, look_back))
    if spec.features.function is not None:
        file, _, name = spec.features.function.partition(":")
        found.append(Place("features.function", spec.features.function, spec.folder, file, name))
    return found


def source(spec: Spec, place: Place) -> bytes:
    """The content of a function's file; raises `SpecError` if it is missing."""
    if spec.feature_code is not None:
        return spec.feature_code.sources[place.origin]
    try:
        return place.file.read_bytes()
    except OSError:
        raise SpecError(f"{spec.name}: {place.key}: no file {place.file}: write it or fix the path") from None


def _all_columns(spec: Spec) -> Build:
    if (code := spec.feature_code) is not None:
        return lambda rows: rows[list(code.columns)]
    left_out = {*spec.keys, *spec.targets, PARTITION, spec.time_column, spec.training.weight}
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


_loaded: OrderedDict[str, ModuleType] = OrderedDict()
"""The modules that were used last, by name."""

_lock = RLock()


def _function(spec: Spec, place: Place, body: bytes) -> Build:
    stored = spec.feature_code is not None
    where = _where(spec, place)
    # Each file of each version has a module of its own, so none ever gets to see another's.
    told = [str(place.file), where if stored else "", hashlib.sha256(body).hexdigest()]
    name = f"evergreen_features_{spec.name}_{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]}"
    with _lock:
        if name not in _loaded:
            _loaded[name] = _executed(name, place.file, body, where, stored=stored)
        _loaded.move_to_end(name)
        while len(_loaded) > _MOST:
            sys.modules.pop(_loaded.popitem(last=False)[0], None)
        function = getattr(_loaded[name], place.name, None)
    # The name comes with a stored version: it must not lead to what the file only imports.
    imported = stored and getattr(function, "__module__", None) != name
    if not callable(function) or imported:
        raise SpecError(f"{where} has no function '{place.name}': define it, or name another after the colon")
    return function  # type: ignore[no-any-return]


def _executed(name: str, file: Path, body: bytes, where: str, *, stored: bool) -> ModuleType:
    loader = _SourceLoader(file, body)
    module_spec = importlib.util.spec_from_loader(name, loader, origin=str(file))
    assert module_spec is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception):
            raise
        remedy = "train a new version" if stored else "fix the file"
        raise SpecError(
            f"{where} cannot be loaded: {type(error).__name__}: {one_line(error)}: {remedy}"
        ) from error
    return module


def _where(spec: Spec, place: Place) -> str:
    if spec.feature_code is None:
        return f"{spec.name}: {place.key}: {place.file}"
    return f"{spec.name}: version {spec.feature_code.version}: {place.origin}"
