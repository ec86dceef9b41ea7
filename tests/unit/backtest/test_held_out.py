"""Predictions that are kept come back as they were, and stand in for the model."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from evergreen.backtest.held_out import HeldOut
from evergreen.metrics.predictions import Predictions


@pytest.mark.parametrize("classes", [["ice", "tea", "wine"], [0, 1], [False, True]])
def test_what_was_said_of_the_hold_out_comes_back_bit_for_bit(classes: list[object]) -> None:
    draw = np.random.default_rng(1)
    features = pd.DataFrame(draw.normal(size=(90, 2)), columns=["a", "b"])
    model = LogisticRegression().fit(features, np.asarray(classes)[np.arange(90) % len(classes)])
    said = Predictions.of(model, features)
    kept = HeldOut.from_dict(json.loads(json.dumps(HeldOut(said).to_dict())))
    again = Predictions.of(kept, features)
    assert again.labels.dtype == said.labels.dtype
    assert (again.labels == said.labels).all()
    assert again.probabilities is not None
    assert np.array_equal(again.probabilities, said.probabilities)
    assert again.classes == said.classes
    with pytest.raises(ValueError, match="are not the 90 of the hold-out"):
        kept.predict(features.head(3))


def test_a_model_without_probabilities_has_none() -> None:
    kept = HeldOut.from_dict(HeldOut(Predictions(np.array([1.5, 2.5]))).to_dict())
    assert not hasattr(kept, "predict_proba")
    assert Predictions.of(kept, pd.DataFrame({"a": [1, 2]})).probabilities is None
