"""Trainings known beforehand are just those that the replays ask for."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from evergreen.backtest.ahead import foreseen
from evergreen.backtest.history import History
from evergreen.backtest.policies import parse_policy
from evergreen.backtest.replay import replay
from evergreen.spec import Spec

Sales = Callable[..., pd.DataFrame]


def test_what_is_foreseen_is_what_is_trained(sales: Sales, kiosk: Spec, days: list[str]) -> None:
    rows = sales(30)
    rows = rows[~rows["partition"].isin(days[14:18])]  # a gap moves what is due in it
    history = History(kiosk, rows)
    policies = [parse_policy(name) for name in ("never", "every 3", "every 7")]
    trained = {
        event.as_of
        for policy in policies
        for event in replay(kiosk, history, policy, days[5], days[24]).events
    }
    assert foreseen(kiosk, history, policies, days[5], days[24]) == sorted(trained)


def test_nothing_is_foreseen_of_what_measurements_decide(sales: Sales, kiosk: Spec, days: list[str]) -> None:
    history = History(kiosk, sales(30))
    assert foreseen(kiosk, history, [parse_policy("configured")], days[5], days[24]) == []
    assert foreseen(kiosk, history, [parse_policy("every 7")], days[0], days[5]) == []
