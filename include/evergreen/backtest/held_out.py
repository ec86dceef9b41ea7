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
        if said.bounds is not None:
            self.levels = said.levels
            self.predict_interval = self.around = partial(self._answer, said.bounds)

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
    """Predictions as JSON values; a probability keeps all its digits in eight bytes."""
    found = made.probabilities
    return {
        "labels": made.labels.tolist(),
        "dtype": made.labels.dtype.str,
        "probabilities": None if found is None else b64encode(found.astype("<f8").tobytes()).decode(),
        "classes": list(made.classes),
        "bounds": None if made.bounds is None else b64encode(made.bounds.astype("<f8").tobytes()).decode(),
        "levels": list(made.levels),
    }


def predictions_from_dict(content: Mapping[str, Any]) -> Predictions:
    """What `predictions_to_dict` gave."""
    labels = np.asarray(content["labels"], dtype=np.dtype(content["dtype"]))
    if levels := tuple(content.get("levels", ())):
        bounds = np.frombuffer(b64decode(content["bounds"]), dtype="<f8")
        return Predictions(
            labels, bounds=bounds.reshape(len(labels), len(levels), 2).astype(np.float64), levels=levels
        )
    classes, found = tuple(content["classes"]), content["probabilities"]
    if found is None:
        return Predictions(labels, None, classes)
    probabilities = np.frombuffer(b64decode(found), dtype="<f8").reshape(len(labels), len(classes))
    return Predictions(labels, probabilities.astype(np.float64), classes)
