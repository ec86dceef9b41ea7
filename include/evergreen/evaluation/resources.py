"""What a model needs to serve: time to predict, size of its file, memory that holds it."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evergreen.errors import EvergreenError
from evergreen.interpreter import NoAnswerError, run_clean
from evergreen.json_values import finite_or_none, number_or_nan
from evergreen.registry.model_file import dump_model, load_model
from evergreen.spec import Resources

_WARM = 3
_REPEATS = {1: 200, 1_000: 100}  # calls by rows
_FEWEST = 20  # below it there is no 95th percentile
_SECONDS = 5.0  # for a slow model, calls end after this time
_PAGE = "SC_PAGE_SIZE"


@dataclass(frozen=True)
class ResourceUse:
    """What was measured; None for what nobody set a limit on, NaN for what could not be measured.

    `row` and `thousand_rows` are 95th percentiles in milliseconds, `size` and `memory` bytes.
    """

    row: float | None = None
    thousand_rows: float | None = None
    size: float | None = None
    memory: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """What was measured as JSON values: what nobody asked for is left out, NaN becomes null."""
        return {name: finite_or_none(value) for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ResourceUse:
        """What `to_dict` wrote."""
        return cls(**{name: number_or_nan(value) for name, value in content.items()})


def measure_resources(limits: Resources, model: Any, features: pd.DataFrame) -> ResourceUse | None:
    """Measure a fitted model where there are limits, on features (n, d); None where there are none.

    Raises `IntegrityError` if the model cannot be written to a file.
    """
    latency = limits.latency
    if latency.row is latency.thousand_rows is limits.size is limits.memory is None:
        return None
    data = dump_model(model) if limits.size or limits.memory else b""
    return ResourceUse(
        row=_latency(model, features, 1) if latency.row else None,
        thousand_rows=_latency(model, features, 1_000) if latency.thousand_rows else None,
        size=float(len(data)) if limits.size else None,
        memory=loaded_memory(data) if limits.memory else None,
    )


def _latency(model: Any, features: pd.DataFrame, rows: int) -> float:
    """The 95th percentile of the milliseconds that a prediction of so many rows takes, after a warm-up.

    Building the features is not counted. At least 20 calls are measured, however slow the model is.
    """
    if features.empty:
        return math.nan
    batch = features.iloc[np.arange(rows) % len(features)]
    for _ in range(_WARM):
        model.predict(batch)
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) < _REPEATS[rows]:
        start = time.perf_counter()
        if len(taken) >= _FEWEST and start - began > _SECONDS:
            break
        model.predict(batch)
        taken.append(time.perf_counter() - start)
    return float(np.percentile(taken, 95) * 1_000)


def loaded_memory(data: bytes) -> float:
    """Bytes of resident memory that a loaded model holds; NaN where the system does not tell.

    It is what a second copy of the model adds to a fresh process: the first copy loads the libraries, which
    all models share. Resident memory includes what Python's own tracing misses, such as the trees that
    scikit-learn allocates in C. Memory that is needed only while loading is not counted.
    """
    try:
        return float(run_clean(memory_added, data, sys.path, environment=os.environ))
    except (NoAnswerError, EvergreenError):
        return math.nan


def memory_added(data: bytes, path: list[str]) -> float:
    """Load a model twice, with modules found on `path`; bytes that the second adds to this process."""
    sys.path[:] = path
    first = load_model(data)
    before = _resident()
    second = load_model(data)
    added = _resident() - before
    del first, second
    return max(added, 0.0)


def _resident() -> float:
    """Resident bytes of this process, after what is free has gone back to the system."""
    import ctypes
    import gc

    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/statm", encoding="ascii") as file:
            return float(file.read().split()[1]) * os.sysconf(_PAGE)
    except (AttributeError, OSError, ValueError):
        return math.nan
