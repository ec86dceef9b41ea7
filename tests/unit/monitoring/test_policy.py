"""The policy: signals, cooldown and budget by table, and what must hold for any history."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.monitoring.policy import blocked, decide
from evergreen.monitoring.record import Decision, Record
from evergreen.spec import Drift, Monitoring, Performance, Retrain, Spec, Staleness, parse_spec
from evergreen.units import Budget

KIOSK = parse_spec(Path(__file__).parents[2] / "pipelines" / "kiosk" / "pipeline.yaml")
FREE = Budget(1000, 1)


def policy(
    on: tuple[str, ...] = ("performance",),
    over: int = 3,
    tolerance: float = 0.5,
    cooldown: int = 0,
    budget: Budget = FREE,
    unseen: float = 0.5,
    share: float = 0.5,
) -> Spec:
    monitoring = Monitoring(
        performance=Performance(tolerance=tolerance, over=over),
        drift=Drift(share=share, over=over),
        staleness=Staleness(unseen=unseen),
        retrain=Retrain(on=on, cooldown=cooldown, budget=budget),
    )
    return KIOSK.model_copy(update={"monitoring": monitoring})


DAYS = list(KIOSK.calendar.between("2024-01-01", "2024-04-30"))


def day(number: int) -> str:
    return DAYS[number]


def record(number: int, error: float | None = 10.0, **changes: Any) -> Record:
    values: dict[str, Any] = {
        "partition": day(number),
        "version": "v1",
        "rows": 4,
        "labelled": 4 if error is not None else 0,
        "metric": "mae",
        "error": error,
        "promised": 10.0,
        "level": 100.0,
        "promised_level": 100.0,
        "drifted_share": 0.0,
        "drift": {},
        "age": number,
        "history": 40,
    }
    return Record(**{**values, **changes})


def test_performance_above_the_tolerance_retrains() -> None:
    decision = decide(policy(), [record(0, 15), record(1, 15), record(2, 15.1)], [])
    assert decision == Decision(day(2), True, decision.reason, decision.evidence)
    assert decision.reason == (
        "retrain: mae 15.03 over the last 3 partitions against 10 promised (tolerance 50%)"
    )
    assert decision.evidence["signals"]["performance"]["fires"] is True


def test_performance_at_the_tolerance_does_not() -> None:
    assert not decide(policy(), [record(n, 15.0) for n in range(3)], []).retrain


def test_the_mean_is_weighted_by_rows() -> None:
    # (2 x 100 + 18 x 10) / 20 = 19; unweighted it would be 55
    rows = [record(0, 100.0, labelled=2), record(1, 10.0, labelled=18)]
    assert not decide(policy(over=2, tolerance=0.95), rows, []).retrain
    assert decide(policy(over=2, tolerance=0.85), rows, []).retrain


def test_too_few_partitions_say_so() -> None:
    decision = decide(policy(), [record(0, 99.0), record(1, 99.0)], [])
    assert not decision.retrain
    assert "2 of the 3 partitions with labels" in decision.reason


def test_partitions_without_labels_do_not_count() -> None:
    rows = [record(0, 99.0), record(1, None), record(2, 99.0), record(3, None)]
    assert not decide(policy(), rows, []).retrain
    assert decide(policy(), [*rows, record(4, 99.0)], []).retrain


def test_records_of_an_earlier_champion_do_not_count() -> None:
    rows = [record(n, 99.0, version="v0") for n in range(5)] + [record(5, 10.0), record(6, 10.0)]
    assert not decide(policy(), rows, []).retrain


def test_what_a_training_answered_does_not_count_again() -> None:
    rows = [record(n, 99.0) for n in range(6)]
    assert not decide(policy(), rows, [day(4)]).retrain  # only days 4 and 5 came after it
    assert decide(policy(), [*rows, record(6, 99.0)], [day(4)]).retrain


def test_higher_is_better() -> None:
    spec = policy(tolerance=0.1)
    training = spec.training.model_copy(update={"metric": "r2"})
    spec = spec.model_copy(update={"training": training})
    good = [record(n, 0.82, promised=0.9) for n in range(3)]
    bad = [record(n, 0.80, promised=0.9) for n in range(3)]
    assert not decide(spec, good, []).retrain
    assert decide(spec, bad, []).retrain


def test_drift_is_a_mean_share() -> None:
    drift = {"wind": {"psi": 3.0, "bound": 0.1, "drifted": True}}
    rows = [record(n, drifted_share=share, drift=drift) for n, share in enumerate((0.4, 0.5, 0.6))]
    decision = decide(policy(on=("drift",)), rows, [])
    assert decision.retrain
    assert "50% of the features drifted" in decision.reason
    assert "wind (PSI 3.00)" in decision.reason
    assert not decide(policy(on=("drift",), share=0.51), rows, []).retrain


def test_staleness_is_relative_to_the_window() -> None:
    rows = [record(n, history=20) for n in range(10)]
    assert decide(policy(on=("staleness",)), rows, [day(0)]).retrain  # 10 of 20
    assert not decide(policy(on=("staleness",)), rows[:9], [day(0)]).retrain
    assert not decide(policy(on=("staleness",)), rows, [day(1)]).retrain


def test_a_signal_that_is_not_named_does_not_count() -> None:
    assert not decide(policy(on=("drift",)), [record(n, 99.0) for n in range(5)], []).retrain


@pytest.mark.parametrize(
    ("trainings", "cooldown", "budget", "as_of", "why"),
    [
        ([], 7, Budget(1, 30), 50, None),
        ([43], 7, FREE, 50, None),
        ([44], 7, FREE, 50, "the last training was as of 2024-02-14 and the cooldown of 7 partitions ends"),
        ([50], 0, FREE, 50, None),
        (
            [21, 30, 40],
            0,
            Budget(3, 30),
            50,
            "the budget of 3 trainings per 30 partitions is spent (3, since",
        ),
        ([20, 30, 40], 0, Budget(3, 30), 50, None),  # day 20 is 30 partitions back: outside
        ([30, 30, 30], 0, Budget(2, 30), 50, None),  # one training, named by several events
        ([], 0, Budget(0, 30), 50, "the budget of 0 trainings per 30 partitions is spent (0)"),
    ],
)
def test_limits(trainings: list[int], cooldown: int, budget: Budget, as_of: int, why: str | None) -> None:
    found = blocked(policy(cooldown=cooldown, budget=budget), day(as_of), [day(n) for n in trainings])
    assert found is None if why is None else found is not None and found.startswith(why)


def test_a_blocked_decision_says_what_called_for_it_and_what_forbids_it() -> None:
    decision = decide(policy(cooldown=30), [record(n, 99.0) for n in range(5)], [day(0)])
    assert not decision.retrain
    assert decision.reason.startswith("no retraining: mae 99 over the last 3 partitions against 10 promised")
    assert decision.reason.endswith("the cooldown of 30 partitions ends with 2024-01-31")
    assert decision.evidence["blocked"]


def test_a_snapshot_has_no_cooldown() -> None:
    iris = Path(__file__).parents[3] / "include" / "pipelines" / "iris" / "pipeline.yaml"
    spec = parse_spec(iris)
    row = record(0, 0.5, partition="snapshot", promised=0.95, metric="accuracy")
    assert decide(spec, [row], ["snapshot"]).retrain
    assert not decide(spec, [record(0, 0.9, partition="snapshot", promised=0.95)], ["snapshot"]).retrain


errors = st.lists(st.one_of(st.none(), st.floats(0, 40)), min_size=1, max_size=60)
rules = st.builds(
    policy,
    on=st.just(("performance", "staleness")),
    over=st.integers(1, 5),
    cooldown=st.integers(0, 9),
    budget=st.builds(Budget, st.integers(0, 4), st.integers(1, 25)),
    unseen=st.floats(0.05, 1),
)


def replay(spec: Spec, history: list[float | None], promoted: list[bool]) -> tuple[list[Decision], list[str]]:
    """Decide day by day; a training is promoted or refused as the days say."""
    records: list[Record] = []
    trainings, version, decisions = [day(0)], "v0", []
    for number, error in enumerate(history):
        records.append(record(number, error, version=version))
        decisions.append(decide(spec, records, trainings))
        if decisions[-1].retrain:
            trainings.append(day(number + 1))
            version = f"v{number + 1}" if promoted[number % len(promoted)] else version
    return decisions, trainings


@given(rules, errors, st.lists(st.booleans(), min_size=1, max_size=5))
def test_never_within_cooldown_and_never_over_budget(
    spec: Spec, history: list[float | None], promoted: list[bool]
) -> None:
    _, trainings = replay(spec, history, promoted)
    numbers = [DAYS.index(key) for key in trainings]
    gaps = [later - earlier for earlier, later in pairwise(numbers)]
    assert all(gap >= spec.monitoring.retrain.cooldown for gap in gaps)
    times, per = spec.monitoring.retrain.budget
    for end in numbers[1:]:  # the first training is not the policy's
        assert sum(end - per < number <= end for number in numbers) <= times


@given(rules, errors, st.integers(0, 60))
def test_a_decision_depends_on_nothing_that_comes_later(
    spec: Spec, history: list[float | None], cut: int
) -> None:
    whole, _ = replay(spec, history, [True])
    part, _ = replay(spec, history[:cut], [True])
    assert whole[: len(part)] == part


@given(rules, errors)
def test_every_decision_has_a_sentence(spec: Spec, history: list[float | None]) -> None:
    for decision in replay(spec, history, [True, False])[0]:
        assert decision.reason.startswith("retrain: " if decision.retrain else "no retraining: ")
        assert "\n" not in decision.reason
