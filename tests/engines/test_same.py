"""Backtests and trainings by every engine, with one of two workers killed: the same, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from evergreen.backtest.run import run_policies
from evergreen.candidates.fit import fit_challenger
from evergreen.spec import Spec
from evergreen.storage import Storage
from evergreen.training_set.assemble import assemble
from tests.engines.clusters import Cluster
from tests.unit.backtest.test_run import found, policies

Sales = Callable[..., pd.DataFrame]
NAMES = ("configured", "every 4", "every 6")


def killing(cluster: Cluster, after: int) -> Callable[[str, int], None]:
    """Kills a worker once so many steps are told."""
    told: list[str] = []

    def progress(name: str, steps: int) -> None:
        told.append(name)
        if len(told) == after:
            cluster.kill_one()

    return progress


def test_a_backtest(
    on_cluster: Cluster,
    sales: Sales,
    kiosk: Spec,
    days: list[str],
    configured: Storage,
    monkeypatch: pytest.MonkeyPatch,
    tell: Callable[[str], None],
) -> None:
    rows, stretch = sales(30, growth_from=20), (days[10], days[22])
    apart = run_policies(
        kiosk, rows, policies(NAMES), *stretch, storage=configured, progress=killing(on_cluster, 2)
    )
    kept = [name for name in configured.list("kiosk/kept") if "/challenger/" in name]
    assert kept
    monkeypatch.setenv("EVERGREEN_COMPUTE", "processes:2")
    by_processes = run_policies(kiosk, rows, policies(NAMES), *stretch)
    monkeypatch.setenv("EVERGREEN_COMPUTE", "local")
    here = run_policies(kiosk, rows, policies(NAMES), *stretch)
    assert found(apart) == found(by_processes) == found(here)
    versions = {event.version for result in here for event in result.events}
    tell(f"{on_cluster.address[:5]}: {len(versions)} versions, {len(kept)} trainings kept, one worker killed")


def test_a_training(
    on_cluster: Cluster, sales: Sales, kiosk: Spec, days: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = {
        "candidates": [
            {"estimator": "sklearn.linear_model.Ridge", "search": {"alpha": [0.01, 100, "log"]}},
            {
                "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
                "search": {"learning_rate": [0.02, 0.3, "log"], "max_depth": [2, 4, "int"]},
            },
        ],
        "tuning": {"trials": 6, "folds": 3},
    }
    asked = kiosk.training.model_validate({**kiosk.training.model_dump(exclude_unset=True), **searched})
    spec = kiosk.model_copy(update={"training": asked})
    rows = sales(30)
    training_set = assemble(spec, rows, days[28], None, {})
    apart = fit_challenger(spec, training_set)
    monkeypatch.setenv("EVERGREEN_COMPUTE", "local")
    here = fit_challenger(spec, training_set)
    assert untimed(apart.trials) == untimed(here.trials)
    assert len(here.trials) == 12
    assert apart.candidate == here.candidate
    predicted = [one.final.predict(training_set.features).tobytes() for one in (here, apart)]
    assert predicted[0] == predicted[1]


def untimed(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in trial.items() if name != "seconds"} for trial in trials]
