"""The search of a policy's knobs: on the first part, seeded, within the trainings allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from evergreen.backtest.policies import parse_policy, variant
from evergreen.backtest.run import replaying, run_policies
from evergreen.backtest.tune import Tuned, as_yaml, searches, tune, turns, worth
from evergreen.calendar import Length
from evergreen.errors import NothingToDoError
from evergreen.spec import Spec

Sales = Callable[..., pd.DataFrame]


def search(spec: Spec, rows: pd.DataFrame, days: list[str], folder: Path | None, count: int) -> Tuned:
    with replaying(spec, rows, root=folder, workers=count) as workers:
        nights = workers.nights(days[10], days[29])
        schedules = [parse_policy("never"), parse_policy("every 5")]
        return tune(workers, spec, nights, days[22], trials=6, per_year=100, schedules=schedules)


@pytest.fixture(scope="module")
def tuned(kiosk: Spec, sales: Sales, days: list[str]) -> Tuned:
    return search(kiosk, sales(30, growth_from=13), days, None, 1)


def test_any_number_of_processes_finds_the_same(
    tuned: Tuned, kiosk: Spec, sales: Sales, days: list[str], tmp_path: Path
) -> None:
    apart = search(kiosk, sales(30, growth_from=13), days, tmp_path, 2)
    assert apart.trials == tuned.trials
    assert apart.overrides == tuned.overrides
    assert [r.value for r in apart.results] == [r.value for r in tuned.results]


def test_the_best_trial_within_the_allowance_is_found(
    tuned: Tuned, kiosk: Spec, sales: Sales, days: list[str]
) -> None:
    assert (tuned.first, tuned.start, tuned.last) == (days[10], days[23], days[29])
    assert tuned.allowed == 5  # 100 a year are 5.5 in 20 days
    assert len(tuned.trials) == 7
    assert tuned.trials[0] == tuned.configured
    fitting = [t for t in tuned.trials if t.trainings <= tuned.allowed and t.value is not None]
    assert tuned.best.value == min(t.value for t in fitting)
    # a trial is what the variant comes to in a replay of its own
    trial = next(t for t in tuned.trials if t.overrides)
    alone = variant(kiosk, "alone", trial.overrides)
    rows = sales(30, growth_from=13)
    (direct,) = run_policies(kiosk, rows, [alone], days[10], days[29], workers=1)
    assert (direct.value, direct.trainings) == (trial.value, trial.trainings)
    # what is in sample is the best trial, on the partitions it was chosen on
    (inside,) = (result for result in tuned.inside if result.policy == "tuned")
    assert (inside.value, inside.trainings) == (tuned.best.value, tuned.best.trainings)


def test_each_stretch_is_replayed_with_what_was_found_before_it(
    tuned: Tuned, kiosk: Spec, sales: Sales, days: list[str]
) -> None:
    bounds = [(split.until, split.start, split.last) for split in tuned.splits]
    assert bounds == [(days[22], days[23], days[25]), (days[25], days[26], days[29])]
    assert [r.policy for r in tuned.results] == ["configured", "tuned", "never", "every 5"]
    assert all(list(r.by_partition) == days[23:30] for r in tuned.results)
    rows, together = sales(30, growth_from=13), 0.0
    for split in tuned.splits:
        policy = variant(kiosk, "alone", split.overrides) if split.overrides else parse_policy("configured")
        (direct,) = run_policies(kiosk, rows, [policy], split.start, split.last, workers=1)
        (found,) = (result for result in split.results if result.policy == "tuned")
        assert (direct.value, direct.trainings) == (found.value, found.trainings)
        assert direct.value is not None
        # All days have four rows, so the value is the mean of the days.
        together += direct.value * len(direct.nights) / 7
    (out,) = (result for result in tuned.results if result.policy == "tuned")
    assert out.value == pytest.approx(together)
    assert out.trainings == sum(s.results[1].trainings for s in tuned.splits)


def test_what_is_worth_stands_in_sample_and_out_of_it(tuned: Tuned) -> None:
    rows = worth(tuned)
    assert [(row.where, row.policy) for row in rows] == [
        ("in sample", "tuned"),
        ("in sample", "configured"),
        ("out of sample", "tuned"),
        ("out of sample", "configured"),
    ]
    assert (rows[0].value, rows[1].value) == (tuned.best.value, tuned.configured.value)
    assert rows[2].value is not None
    assert rows[3].value is not None
    assert tuned.helps is (rows[2].value < rows[3].value)


def test_the_search_sees_nothing_of_the_rest(
    tuned: Tuned, kiosk: Spec, sales: Sales, days: list[str]
) -> None:
    rows = sales(30, growth_from=13)
    rows.loc[rows["partition"] > days[25], "sold"] = 99_999.0
    other = search(kiosk, rows, days, None, 1)
    assert [split.overrides for split in other.splits] == [split.overrides for split in tuned.splits]
    assert [r.value for r in other.splits[0].results] == [r.value for r in tuned.splits[0].results]
    assert [r.value for r in other.splits[1].results] != [r.value for r in tuned.splits[1].results]


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
    assert (found.performance.over, found.performance.cusum.h) == (Length(1), 7)
    assert found.retrain.when == (2, 3)


def test_both_parts_must_have_partitions(kiosk: Spec, sales: Sales, days: list[str]) -> None:
    with replaying(kiosk, sales(20), workers=1) as workers:
        nights = workers.nights(days[10], days[19])
        for until in (days[5], days[19]):
            with pytest.raises(NothingToDoError, match="choose another --tune-to"):
                tune(workers, kiosk, nights, until)
        assert searches(nights, days[15]) == 3
        assert searches(nights, days[18]) == 2  # one partition is one stretch
