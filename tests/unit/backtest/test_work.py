"""What replays work on: made once, and the same whether it was kept or made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from evergreen.backtest.cache import Cache
from evergreen.backtest.history import History
from evergreen.backtest.policies import variant
from evergreen.backtest.work import HeldOut, Work, _measuring
from evergreen.errors import NothingToDoError
from evergreen.metrics.predictions import Predictions
from evergreen.spec import Spec

Sales = Callable[..., pd.DataFrame]


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


def test_what_is_kept_is_what_was_made(sales: Sales, kiosk: Spec, days: list[str], tmp_path: Path) -> None:
    history = History(kiosk, sales(30))
    first, second = (Work(kiosk, history, Cache(tmp_path)) for _ in range(2))
    found = []
    for one in (first, second):
        champion, challenger = one.trained(days[10]), one.trained(days[14])
        judged = one.judged(challenger, champion)
        scored = one.scored(kiosk, champion, days[14], [])
        found.append((champion, challenger, judged, scored.record, scored.predictions.labels.tolist()))
    assert found[0] == found[1]
    assert found[0][0].fit_seconds == found[1][0].fit_seconds  # the cost of making it is kept too


def test_too_little_to_train_on_is_kept_by_nobody(sales: Sales, kiosk: Spec, days: list[str]) -> None:
    work = Work(kiosk, History(kiosk, sales(30)))
    for _ in range(2):
        with pytest.raises(NothingToDoError, match=r"training.minimum asks for 10"):
            work.trained(days[5])


def test_measurements_are_shared_by_rules_that_do_not_bear_on_them(kiosk: Spec) -> None:
    own = _measuring(kiosk)
    same = {"retrain": {"cooldown": 9}, "performance": {"tolerance": 3, "over": 2, "cusum": {"h": 2}}}
    assert _measuring(variant(kiosk, "same", {**same, "staleness": {"unseen": 0.9}}).of(kiosk)) == own
    for changes in ({"drift": {"psi": 0.5}}, {"performance": {"slices": ["hour"]}}):
        assert _measuring(variant(kiosk, "other", changes).of(kiosk)) != own
