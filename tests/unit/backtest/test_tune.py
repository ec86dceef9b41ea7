"""The search of a policy's knobs: on the first part, seeded, within the trainings allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from evergreen.backtest.policies import parse_policy, variant
from evergreen.backtest.run import run_policies
from evergreen.backtest.tune import Tuned, as_yaml, tune, turns
from evergreen.backtest.workers import Workers
from evergreen.errors import NothingToDoError
from evergreen.spec import Spec

Sales = Callable[..., pd.DataFrame]


def search(spec: Spec, rows: pd.DataFrame, days: list[str], folder: Path | None, count: int) -> Tuned:
    with Workers(spec, rows, folder=folder, count=count) as workers:
        nights = workers.nights(days[10], days[29])
        schedules = [parse_policy("never"), parse_policy("every 5")]
        return tune(workers, spec, nights, days[22], trials=6, per_year=100, schedules=schedules)


@pytest.fixture(scope="module")
def tuned(kiosk: Spec, sales: Sales, days: list[str]) -> Tuned:
    return search(kiosk, sales(30, growth_from=16), days, None, 1)


def test_any_number_of_processes_finds_the_same(
    tuned: Tuned, kiosk: Spec, sales: Sales, days: list[str], tmp_path: Path
) -> None:
    apart = search(kiosk, sales(30, growth_from=16), days, tmp_path, 2)
    assert apart.trials == tuned.trials
    assert apart.overrides == tuned.overrides
    assert [r.value for r in apart.results] == [r.value for r in tuned.results]


def test_the_best_trial_within_the_allowance_is_compared_on_the_rest(
    tuned: Tuned, kiosk: Spec, sales: Sales, days: list[str]
) -> None:
    assert (tuned.first, tuned.until, tuned.start, tuned.last) == (days[10], days[22], days[23], days[29])
    assert tuned.allowed == 3  # 100 a year are 3.6 in 13 days
    assert len(tuned.trials) == 7
    assert tuned.trials[0] == tuned.configured
    fitting = [t for t in tuned.trials if t.trainings <= tuned.allowed and t.value is not None]
    assert tuned.best.value == min(t.value for t in fitting)
    named = ["configured", *(["tuned"] if tuned.overrides else []), "never", "every 5"]
    assert [r.policy for r in tuned.results] == named
    assert all(list(r.by_partition) == days[23:30] for r in tuned.results)
    # a trial is what the variant comes to in a replay of its own
    trial = next(t for t in tuned.trials if t.overrides)
    alone = variant(kiosk, "alone", trial.overrides)
    rows = sales(30, growth_from=16)
    (direct,) = run_policies(kiosk, rows, [alone], days[10], days[22], workers=1)
    assert (direct.value, direct.trainings) == (trial.value, trial.trainings)


def test_the_search_sees_nothing_of_the_rest(
    tuned: Tuned, kiosk: Spec, sales: Sales, days: list[str]
) -> None:
    rows = sales(30, growth_from=16)
    rows.loc[rows["partition"] > days[22], "sold"] = 99_999.0
    assert search(kiosk, rows, days, None, 1).trials == tuned.trials


def test_only_knobs_of_the_signals_that_count_are_turned(kiosk: Spec) -> None:
    def of(*signals: str) -> set[str]:
        retrain = kiosk.monitoring.retrain.model_copy(update={"on": signals})
        monitoring = kiosk.monitoring.model_copy(update={"retrain": retrain})
        return set(turns(kiosk.model_copy(update={"monitoring": monitoring})))

    assert of("performance", "staleness") == {"over", "tolerance", "unseen", "cooldown"}
    assert of("cusum") == {"k", "h", "cooldown"}
    assert of("drift") == {"when", "cooldown"}
    assert of("estimate") == {"tolerance", "when", "cooldown"}


def test_what_is_found_can_be_pasted(kiosk: Spec) -> None:
    overrides = {
        "performance": {"over": "1 partition", "cusum": {"h": 7}},
        "retrain": {"when": "2 of 3 partitions"},
    }
    text = as_yaml(overrides)
    assert text.startswith("monitoring:\n  performance:\n    over: 1 partition\n")
    assert yaml.safe_load(text) == {"monitoring": overrides}
    found = variant(kiosk, "found", overrides).of(kiosk).monitoring
    assert (found.performance.over, found.performance.cusum.h, found.retrain.when) == (1, 7, (2, 3))


def test_both_parts_must_have_partitions(kiosk: Spec, sales: Sales, days: list[str]) -> None:
    with Workers(kiosk, sales(20), count=1) as workers:
        nights = workers.nights(days[10], days[19])
        for until in (days[5], days[19]):
            with pytest.raises(NothingToDoError, match="choose another --tune-to"):
                tune(workers, kiosk, nights, until)
