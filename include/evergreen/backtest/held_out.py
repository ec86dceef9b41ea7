"""What is kept of a challenger's predictions: those of its hold-out stand in for the model that made them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.metrics.predictions import Predictions


class HeldOut:
    """The stored predictions of a challenger on its hold-out, used in place of the model itself.

    It can predict only the features of the hold-out. Storing a model takes a tenth of the time of a small
    training, and the model that is fit without the hold-out never predicts anything else.
    """

    def __init__(self, said: Predictions) -> None:
        self._said = said
        if said.probabilities is not None:
            self.classes_ = np.asarray(said.classes)
            self.predict_proba = partial(self._answer, said.probabilities)
        self.levels = said.levels
        if said.bounds is not None:
            self.predict_interval = self.around = partial(self._answer, said.bounds)
        if said.sets is not None:
            self.predict_set = partial(self._answer, said.sets)

    def predict(self, features: pd.DataFrame) -> NDArray[Any]:
        """The labels (n,) of the hold-out's features (n, d)."""
        return self._answer(self._said.labels, features)

    def _answer(self, values: NDArray[Any], features: pd.DataFrame) -> NDArray[Any]:
        if len(features) != len(self._said):
            raise ValueError(f"{len(features)} rows are not the {len(self._said)} of the hold-out")
        return values

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return predictions_to_dict(self._said)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> HeldOut:
        """What `to_dict` gave."""
        return cls(predictions_from_dict(content))


def predictions_to_dict(made: Predictions) -> dict[str, Any]:
    """Predictions as JSON values; a number keeps all its digits in eight bytes."""
    return {
        "labels": made.labels.tolist(),
        "dtype": made.labels.dtype.str,
        "probabilities": _packed(made.probabilities, "<f8"),
        "classes": list(made.classes),
        "bounds": _packed(made.bounds, "<f8"),
        "sets": _packed(made.sets, "?"),
        "levels": list(made.levels),
    }


def predictions_from_dict(content: Mapping[str, Any]) -> Predictions:
    """What `predictions_to_dict` gave."""
    labels = np.asarray(content["labels"], dtype=np.dtype(content["dtype"]))
    classes, levels = tuple(content["classes"]), tuple(content["levels"])
    rows = len(labels)
    return Predictions(
        labels,
        _unpacked(content["probabilities"], "<f8", (rows, len(classes))),
        classes,
        _unpacked(content["bounds"], "<f8", (rows, len(levels), 2)),
        levels,
        _unpacked(content["sets"], "?", (rows, len(levels), len(classes))),
    )


def _packed(values: NDArray[Any] | None, kind: str) -> str | None:
    return None if values is None else b64encode(values.astype(kind).tobytes()).decode()


def _unpacked(text: str | None, kind: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
    if text is None:
        return None
    return np.frombuffer(b64decode(text), dtype=kind).reshape(shape).astype(np.dtype(kind).newbyteorder("="))
