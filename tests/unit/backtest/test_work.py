"""What replays work on: made once, and the same whether it was kept or made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from evergreen.backtest.cache import Cache
from evergreen.backtest.history import History
from evergreen.backtest.policies import variant
from evergreen.backtest.work import Work, _measuring
from evergreen.errors import NothingToDoError
from evergreen.spec import Spec

Sales = Callable[..., pd.DataFrame]


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


def test_without_earlier_nights_only_the_error_is_measured_and_it_is_the_same(
    sales: Sales, kiosk: Spec, days: list[str]
) -> None:
    work = Work(kiosk, History(kiosk, sales(30)))
    champion = work.trained(days[10])
    whole, alone = (work.scored(kiosk, champion, days[14], earlier) for earlier in ([], None))
    assert whole.record.drift
    assert not alone.record.drift
    assert alone.record.error == whole.record.error is not None
    assert alone.record.labelled == whole.record.labelled
    assert alone.record.part("mae") == whole.record.part("mae")
    assert alone.predictions.labels.tolist() == whole.predictions.labels.tolist()


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
