"""What an export says of the golden rows, held to what the version's own model says of them. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evergreen.errors import RefusedError
from evergreen.export.exportable import Format
from evergreen.metrics.predictions import Predictions

TOLERANCE: dict[Format, float] = {"onnx": 1e-5, "treelite": 1e-6, "mlflow": 1e-9}
"""How far a number may be from the model's own, as a share of the largest of the golden sample. A graph may
compute in single precision, and so does treelite of several classes and of XGBoost."""


def hold(found: Predictions, said: Predictions, to: Format) -> float:
    """How far the numbers of an export are at most from those that the model `said` of the same rows (n,).

    It is a share of the largest number. Raises `RefusedError`, naming the first row, if a number is farther
    away than is tolerated, a label is another, or the shapes differ.
    """
    largest = 0.0
    for what, one, other in (
        ("labels", found.labels, said.labels),
        ("probabilities", found.probabilities, said.probabilities),
    ):
        if other is not None:
            largest = max(largest, _hold(what, one, other, to))
    return largest


def _hold(what: str, found: NDArray[Any] | None, said: NDArray[Any], to: Format) -> float:
    if found is None or found.shape != said.shape:
        shape = "none" if found is None else f"an array of {found.shape}"
        raise RefusedError(f"it gives {shape} as {what} of the golden rows instead of {said.shape}")
    if said.dtype.kind != "f":
        wrong, share = np.asarray(found != said), 0.0
        tolerated = ""
    else:
        scale = float(np.abs(said).max(initial=0)) or 1.0
        far = np.abs(np.asarray(found, np.float64) - said) / scale
        wrong, share = ~(far <= TOLERANCE[to]), float(far.max(initial=0))
        tolerated = f" ({TOLERANCE[to]:g} of {scale:.6g} is tolerated)"
    if wrong.any():
        first = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        rows = int(wrong.reshape(len(wrong), -1).any(axis=1).sum())
        raise RefusedError(
            f"it predicts {rows} of {len(said)} golden rows differently, row {first[0] + 1} as "
            f"{found[first]} instead of {said[first]}{tolerated}"
        )
    return share
