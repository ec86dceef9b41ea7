"""The circuit breaker: when it opens, half-opens and closes, and what a decision says of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given

from evergreen.calendar import Grain
from evergreen.monitoring.breaker import breaker
from evergreen.monitoring.policy import blocked, decide
from evergreen.monitoring.trainings import Training
from evergreen.spec import Spec
from tests.unit.monitoring.kiosk_policies import Night, day, nights, policy, promoted, replay, rules, worse
from tests.unit.monitoring.kiosk_records import KIOSK, record


@pytest.mark.parametrize(
    ("trainings", "is_open"),
    [
        ([], False),
        (worse(1, 2), False),
        (worse(1, 2, 3), True),
        (worse(1, 2, 3, 4), True),
        ([*worse(1, 2), *promoted(3), *worse(4)], False),
        ([*promoted(0), *worse(1, 2, 3)], True),
        ([*worse(1, 2, 3), *promoted(9)], False),
        # By hand, after they were refused: what counts is when it happened, not what it was trained as of.
        ([*worse(1, 2, 3), *promoted(1)], False),
        ([*worse(1, 2), Training(day(3), "waiting")], False),
        ([*worse(1, 2, 3), Training(day(4), "waiting")], True),
        # That too little is known is no reason to stop asking (P4, P4b).
        ([Training(day(number), "inconclusive") for number in range(1, 9)], False),
        ([*worse(1, 2), Training(day(3), "inconclusive"), Training(day(4), "declined")], False),
        ([*worse(1, 2), Training(day(3), "inconclusive"), *worse(4)], True),
    ],
)
def test_the_breaker_opens_after_several_that_were_worse(trainings: list[Training], is_open: bool) -> None:
    spec = policy(refusals=3, half_open=100)
    halt = breaker(spec, day(50), trainings)
    assert halt.halts is is_open
    assert (blocked(spec, day(50), trainings, halt) is not None) is is_open
    decision = decide(spec, [record(n, 99.0) for n in range(40, 50)], trainings)
    assert decision.retrain is not is_open
    assert (decision.evidence["breaker"]["state"] == "open") is is_open


@pytest.mark.parametrize("half_open", [1, 7, 28])
def test_an_open_breaker_lets_one_training_through_after_a_time(half_open: int) -> None:
    spec = policy(refusals=2, half_open=half_open)
    trainings, began = worse(10, 20), []
    for number in range(20, 120):
        decision = decide(spec, [record(n, 99.0) for n in range(20, number + 1)], trainings)
        if decision.retrain:
            assert "the breaker half-opens: nothing was trained since" in decision.reason
            began.append(number + 1)
            trainings = [*trainings, *worse(number + 1)]
    # Three nights must speak after each training: `performance.over`.
    assert began == list(range(20 + max(half_open, 3), 121, max(half_open, 3)))


@pytest.mark.parametrize(("grain", "waits"), [("hourly", 168), ("daily", 28), ("weekly", 8), ("monthly", 3)])
def test_how_long_a_breaker_waits_fits_the_grain(grain: str, waits: int) -> None:
    spec = policy(refusals=1, of=KIOSK.model_copy(update={"partition": Grain(grain)}))
    first = spec.calendar.key_of_day(date(2024, 1, 1))
    trainings = [Training(first, "worse")]
    halts = [breaker(spec, spec.calendar.shift(first, n), trainings).halts for n in range(waits + 2)]
    assert halts == [True] * waits + [False, False]
    halt = breaker(spec, first, trainings)
    assert f"the night of {spec.calendar.shift(first, waits - 1)} " in str(
        blocked(spec, first, trainings, halt)
    )


def test_an_open_breaker_half_opens_once_the_error_has_grown() -> None:
    spec = policy(refusals=2, half_open=300, tolerance=0.5)  # by 50 % over three nights
    before = [record(n, 40.0) for n in range(10, 20)]
    as_bad = [record(n, 55.0) for n in range(20, 40)]
    assert not decide(spec, [*before, *as_bad], worse(5, 20)).retrain
    grown = decide(spec, [*before, *as_bad, *(record(n, 70.0) for n in range(40, 43))], worse(5, 20))
    assert grown.retrain
    assert "the breaker half-opens: mean absolute error 70 over the last 3 days, 40 when it opened" in (
        grown.reason
    )
    one, three = ([record(n, 70.0) for n in range(40, end)] for end in (41, 43))
    assert not decide(spec, [*before, *as_bad, *one], worse(5, 20)).retrain  # 60 is 50 % more, and no more
    # Another champion's nights say nothing of this one's.
    others = [replace(row, version="v0") for row in before]
    assert not decide(spec, [*others, *as_bad, *three], worse(5, 20)).retrain


def test_an_open_circuit_is_said_whether_or_not_a_signal_fires() -> None:
    quiet = decide(policy(refusals=2), [record(n) for n in range(10, 14)], worse(1, 2))
    assert quiet.reason == (
        "no retraining: mean absolute error 10.0 over the last 3 days against 10.0 promised (tolerance 50%); "
        "the breaker is open: 2 challengers in a row were worse: train or promote one by hand, or wait for "
        "the night of 2024-01-30 or for an error that has grown by 50%"
    )
    assert quiet.evidence["breaker"] == {
        "state": "open",
        "worse": 2,
        "since": "2024-01-03",
        "until": "2024-01-31",
        "grown": "",
    }
    assert quiet.evidence["firing"] == []


@given(rules, nights)
def test_more_in_a_row_are_worse_than_open_the_breaker_only_where_it_half_opened(
    spec: Spec, history: list[Night]
) -> None:
    decisions, trainings = replay(spec, history)
    in_a_row, allowed = 0, spec.monitoring.retrain.refusals
    told = {spec.calendar.shift(one.partition, 1): one.evidence["breaker"] for one in decisions}
    for training in trainings[1:]:
        halt = told[training.as_of]
        assert halt["state"] == ("half-open" if in_a_row >= allowed else "closed")
        assert not halt["until"] or halt["grown"] or training.as_of >= halt["until"]
        in_a_row = in_a_row + 1 if training.outcome == "worse" else 0
    assert not any(one.retrain for one in decisions if one.evidence["breaker"]["state"] == "open")


@given(rules, nights, nights)
def test_a_promotion_by_hand_closes_the_breaker(spec: Spec, history: list[Night], more: list[Night]) -> None:
    _, trainings = replay(spec, history, first="worse")
    records = [record(n, error, version="new") for n, (error, _, _) in enumerate(more, len(history))]
    by_hand = [*trainings, Training(day(len(history)), "promoted")]
    found = [decide(spec, records[: n + 1], by_hand).evidence["breaker"]["state"] for n in range(len(more))]
    assert set(found) == {"closed"}
