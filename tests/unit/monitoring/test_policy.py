"""The policy: limits and breaker by table, the sentence to the letter, and what must hold for any history."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Grain, Length
from evergreen.monitoring.policy import blocked, decide
from evergreen.monitoring.record import Decision
from evergreen.monitoring.trainings import Training
from evergreen.signals.record import Record
from evergreen.spec import Spec, parse_spec
from evergreen.training_set.window import Change
from evergreen.units import Budget
from tests.unit.monitoring.kiosk_policies import (
    FREE,
    Night,
    day,
    nights,
    policy,
    promoted,
    replay,
    rules,
    worse,
)
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK, record

IRIS = parse_spec(Path(__file__).parents[3] / "include" / "pipelines" / "iris" / "pipeline.yaml")
THIRTY = Length(30)


# the decision and its sentence


def test_the_sentence_of_a_retraining() -> None:
    spec = policy(on=("performance", "cusum", "drift"), over=5, tolerance=0.25)
    errors = [37.0, 39.0, 38.0, 60.0, 66.0, 75.0, 75.0, 80.0]
    rows = [
        record(41 - 8 + n, error, promised=38.0, usual=38.0, spread=4.0, drifted_share=0.1)
        for n, error in enumerate(errors)
    ]
    decision = decide(spec, rows, promoted(0))
    assert decision.reason == (
        "retrain: mean absolute error 71.2 over the last 5 days against 38.0 promised, "
        "CUSUM crossed on 2024-02-07; last trained 41 days ago"
    )
    assert decision == Decision(day(40), True, decision.reason, decision.evidence)
    evidence = decision.evidence
    assert evidence["firing"] == ["performance", "cusum"]
    assert list(evidence["signals"]) == ["performance", "cusum", "drift"]
    assert evidence["signals"]["performance"]["clause"] in decision.reason
    assert {name: value for name, value in evidence.items() if name not in ("signals", "firing")} == {
        "blocked": None,
        "breaker": {"state": "closed", "worse": 0, "since": None, "until": None, "grown": ""},
        "last_training": day(0),
        "champion": "v1",
        "trial": None,
        "standing_bias": None,
        "coverage": None,
        "change": {"since": day(36), "signal": "cusum", "partition": day(40)},
    }


def test_the_sentence_of_a_no_says_what_each_signal_found() -> None:
    decision = decide(policy(on=("performance", "cusum")), [record(n, 10.4) for n in range(3)], [])
    assert not decision.retrain
    assert decision.reason == (
        "no retraining: mean absolute error 10.4 over the last 3 days against 10.0 promised "
        "(tolerance 50%), CUSUM 0.0 of 4"
    )


def test_a_blocked_decision_says_what_called_for_it_and_what_forbids_it() -> None:
    decision = decide(policy(cooldown=30), [record(n, 99.0) for n in range(5)], promoted(0))
    assert not decision.retrain
    assert decision.reason == (
        "no retraining: mean absolute error 99.0 over the last 3 days against 10.0 promised; "
        "the last training was as of 2024-01-01 and the cooldown is 30 days: the night of 2024-01-30 may "
        "train again"
    )
    assert decision.evidence["blocked"] in decision.reason
    assert decision.evidence["firing"] == ["performance"]


@pytest.mark.parametrize(
    ("grain", "keys", "words"),
    [
        (Grain.DAILY, ("2023-12-31", "2024-01-01"), "last trained 2 days ago"),
        (Grain.DAILY, ("2024-01-01", "2024-01-01"), "last trained 1 day ago"),
        (Grain.DAILY, ("2022-01-01", "2024-01-01"), "last trained 731 days ago"),
        (Grain.HOURLY, ("2024-01-01T22", "2024-01-02T05"), "last trained 8 hours ago"),
        (Grain.WEEKLY, ("2024-01-01", "2024-03-04"), "last trained 10 weeks ago"),
        (Grain.MONTHLY, ("2022-11", "2024-02"), "last trained 16 months ago"),
    ],
)
def test_how_long_ago_the_last_training_was(grain: Grain, keys: tuple[str, str], words: str) -> None:
    spec = policy(over=1, of=KIOSK.model_copy(update={"partition": grain}))
    last, newest = keys
    decision = decide(spec, [record(0, 99.0, partition=newest)], [Training(last, "worse")])
    assert decision.reason.endswith(f"; {words}")
    assert spec.calendar.distance(last, spec.calendar.shift(newest, 1)) == int(words.split()[2])


# which partitions speak


def test_records_of_an_earlier_champion_do_not_speak() -> None:
    rows = [record(n, 99.0, version="v0") for n in range(5)] + [record(5, 10.0), record(6, 10.0)]
    assert not decide(policy(), rows, []).retrain


def test_what_a_training_answered_does_not_speak_again() -> None:
    rows = [record(n, 99.0) for n in range(6)]
    assert not decide(policy(), rows, worse(4)).retrain  # only days 4 and 5 came after it
    assert decide(policy(), [*rows, record(6, 99.0)], worse(4)).retrain
    for signal in ("cusum", "drift", "prediction_drift", "staleness"):
        drifted = {"drifted_share": 1.0, "prediction_drift": {"psi": 1.0, "drifted": True}, "history": 8}
        rows = [record(n, 13.0, **drifted) for n in range(6)]
        assert decide(policy(on=(signal,)), rows, []).retrain, signal
        assert not decide(policy(on=(signal,)), rows, worse(5)).retrain, signal


def test_a_signal_that_is_not_named_does_not_count() -> None:
    assert not decide(policy(on=("drift",)), [record(n, 99.0) for n in range(5)], []).retrain


def test_a_policy_without_signals_never_retrains() -> None:
    decision = decide(policy(on=()), [record(n, 99.0) for n in range(5)], [])
    assert decision.reason == "no retraining: no signal is asked for"
    assert not decision.retrain


def test_late_labels_do_not_speak_before_they_are_known() -> None:
    spec, rows = policy(delay=4), [record(n, 99.0) for n in range(10)]
    assert not decide(spec, rows[:6], []).retrain  # of days 0 and 1
    decision = decide(spec, rows[:7], [])
    assert decision.retrain
    assert "over 3 days from 2024-01-01 to 2024-01-03 against" in decision.reason
    as_they_were = [*rows[:3], *(replace(row, labelled=0, error=None) for row in rows[3:7])]
    assert decide(spec, as_they_were, []) == decision


# limits


@pytest.mark.parametrize(
    ("trainings", "cooldown", "budget", "why"),
    [
        ([], 7, Budget(1, THIRTY), None),
        ([43], 7, FREE, None),
        ([44], 7, FREE, "the last training was as of 2024-02-14 and the cooldown is 7 days: the night of 2"),
        ([50], 0, FREE, None),
        (
            [21, 30, 40],
            0,
            Budget(3, THIRTY),
            "the budget of 3 trainings per 30 days is spent (3, since 2024-01-",
        ),
        ([20, 30, 40], 0, Budget(3, THIRTY), None),  # day 20 is 30 partitions back: outside
        ([30, 30, 30], 0, Budget(2, THIRTY), None),  # one training, named by several events
        ([], 0, Budget(0, THIRTY), "the budget of 0 trainings per 30 days is spent (0)"),
    ],
)
def test_cooldown_and_budget(trainings: list[int], cooldown: int, budget: Budget, why: str | None) -> None:
    for outcome in ("promoted", "worse", "inconclusive", "declined", "waiting"):
        took_place = [Training(day(number), outcome) for number in trainings]
        found = blocked(policy(cooldown=cooldown, budget=budget), day(50), took_place)
        assert found is None if why is None else found is not None and found.startswith(why)


@pytest.mark.parametrize("grain", [grain for grain in Grain if grain is not Grain.SNAPSHOT])
@pytest.mark.parametrize("cooldown", [1, 5])
def test_the_night_that_the_cooldown_names_is_the_first_that_trains(grain: Grain, cooldown: int) -> None:
    """P7: "ends with 2019-06" was said, and the night of 2019-05 trained."""
    spec = policy(over=1, cooldown=cooldown, of=KIOSK.model_copy(update={"partition": grain}))
    last = spec.calendar.key_of_day(date(2019, 1, 7))
    trained = [Training(last, "inconclusive")]
    nights = [spec.calendar.shift(last, n) for n in range(8)]
    decisions = [decide(spec, [record(0, 99.0, partition=night)], trained) for night in nights]
    first = next(decision.partition for decision in decisions if decision.retrain)
    assert first == nights[cooldown - 1]
    said = [decision.reason for decision in decisions if not decision.retrain]
    assert len(said) == cooldown - 1
    assert all(f"the night of {first} may train again" in reason for reason in said)


@pytest.mark.parametrize(
    ("grain", "last", "cooldown", "night"),
    [
        # by hand: the night before the first as-of from which the cooldown back does not go beyond the last
        (Grain.DAILY, "2024-01-31", "10 days", "2024-02-09"),
        (Grain.DAILY, "2024-01-31", "1 month", "2024-02-29"),
        (Grain.DAILY, "2024-02-29", "1 month", "2024-03-28"),
        (Grain.WEEKLY, "2024-01-29", "10 days", "2024-02-05"),
        (Grain.WEEKLY, "2024-01-29", "1 month", "2024-02-26"),
        (Grain.MONTHLY, "2024-01", "10 days", "2024-01"),
        (Grain.MONTHLY, "2024-01", "3 months", "2024-03"),
        (Grain.HOURLY, "2024-01-31T05", "6 hours", "2024-01-31T10"),
        (Grain.HOURLY, "2024-01-31T05", "1 day", "2024-02-01T04"),
    ],
)
def test_a_cooldown_in_any_unit(grain: Grain, last: str, cooldown: str, night: str) -> None:
    spec = policy(cooldown=Length.read(cooldown), of=KIOSK.model_copy(update={"partition": grain}))
    trained, allowed = [Training(last, "promoted")], spec.calendar.shift(night, 1)
    assert blocked(spec, allowed, trained) is None
    if allowed != spec.calendar.shift(last, 1):
        why = blocked(spec, night, trained)
        assert why is not None
        assert f"the cooldown is {cooldown}: the night of {night} may train again" in why


def test_a_budget_in_months() -> None:
    spec = policy(budget=Budget(1, Length(3, "month")))
    trained = [Training("2023-11-30", "worse")]
    assert blocked(spec, "2024-02-29", trained) == (
        "the budget of 1 trainings per 3 months is spent (1, since 2023-11-30)"
    )
    assert blocked(spec, "2024-03-01", trained) is None


def test_the_performance_over_a_month_is_judged_by_its_days() -> None:
    spec, rows = policy(over=Length(1, "month")), [record(n, 99.0) for n in range(60)]
    found = [decide(spec, rows[: n + 1], []).evidence["signals"]["performance"] for n in (29, 30, 58, 59)]
    # up to 30 January it began on 31 December, up to 28 February on 29 January
    assert [one.get("wanted", one.get("partitions")) for one in found] == [31, 31, 31, 29]
    assert [one["fires"] for one in found] == [False, True, True, True]
    assert found[2]["first"] == "2024-01-29"


def test_a_promise_much_worse_than_its_predecessors_is_said_while_it_is_in_force() -> None:
    before = {"version": "v0", "promised": 6.0}
    said = (
        "the champion promises mean absolute error 10.0 against 6.00 promised by its predecessor v0: much "
        "worse (tolerance 50%)"
    )
    rows = [record(n, before=before) for n in range(10, 14)]
    assert decide(policy(), rows, promoted(5)).reason.endswith(f"(tolerance 50%); {said}")
    # the same champion, without a predecessor, or with one that promised nearly the same
    for other in ({}, {"version": "v0", "promised": 9.0}):
        rows[-1] = record(13, before=other)
        assert "promises" not in decide(policy(), rows, promoted(5)).reason


def test_after_a_training_that_promised_much_worse_renewal_goes_on() -> None:
    # The error of the break is taken for normal: nothing but renewal asks. 12 of 40 days are 30 %.
    spec, before = policy(on=("cusum", "renewal")), {"version": "v0", "promised": 2.0}
    rows = [record(n, before=before) for n in range(50, 65)]
    history = promoted(5, 50)
    asked = [decide(spec, rows[: n + 1], history).retrain for n in range(15)]
    assert asked.index(True) == 11


def test_a_snapshot_has_no_cooldown_but_a_circuit() -> None:
    spec = policy(of=IRIS, refusals=2)
    bad = record(0, 0.4, partition="snapshot", promised=0.95, metric="accuracy")
    once, twice = ([Training("snapshot", "worse")] * times for times in (1, 2))
    assert decide(spec, [bad], once).retrain
    assert decide(spec, [bad], once).reason == "retrain: accuracy 0.400 against 0.950 promised"
    assert decide(spec, [bad], twice).evidence["breaker"]["state"] == "open"
    assert "train or promote one by hand" in decide(spec, [bad], twice).reason
    assert not decide(spec, [bad], twice).retrain
    assert not decide(spec, [replace(bad, error=0.94)], once).retrain


def test_the_last_break_that_was_found_is_remembered_after_its_training() -> None:
    spec, errors = policy(on=("cusum",)), [10.0] * 5 + [13.0] * 5 + [10.0] * 5
    rows = [record(20 + n, error) for n, error in enumerate(errors)]
    known = [decide(spec, rows[: n + 1], promoted(0)).change for n in range(15)]
    # above 4 after two nights of 2.4 each (0.6 of 4 is the most that one adds): it changed with the first
    assert known[:6] == [None] * 6
    assert known[6:10] == [Change(day(25), "cusum", day(n)) for n in range(26, 30)]
    trained = [*promoted(0), Training(day(27), "promoted", "cusum", "v1", change=known[6])]
    quiet = [record(27 + n) for n in range(4)]
    assert decide(spec, quiet, trained).change == known[6]
    # a training that knew of none changes nothing, one that is later than the night is not known
    assert decide(spec, quiet, [*trained, Training(day(28), "worse")]).change == known[6]
    later = Training(day(40), "worse", change=Change(day(35), "cusum", day(39)))
    assert decide(spec, quiet, [*trained, later]).change == known[6]
    assert decide(spec, [record(41)], [*trained, later]).change == later.change


# any history


@given(rules, nights)
def test_never_within_the_cooldown_and_never_over_budget_in_any_window(
    spec: Spec, history: list[Night]
) -> None:
    _, trainings = replay(spec, history)
    numbers = [DAYS.index(training.as_of) for training in trainings]
    gaps = [later - earlier for earlier, later in pairwise(numbers)]
    assert all(gap >= max(spec.monitoring.retrain.cooldown.count, 1) for gap in gaps)
    times, per = spec.monitoring.retrain.budget
    for start in range(len(history)):  # the first training is not the policy's
        assert sum(start <= number < start + per.count for number in numbers[1:]) <= times


@given(rules, nights, st.integers(0, 60), st.data())
def test_a_decision_depends_on_nothing_that_comes_later(
    spec: Spec, history: list[Night], cut: int, data: st.DataObject
) -> None:
    whole, trainings = replay(spec, history)
    part, _ = replay(spec, history[:cut])
    assert whole[: len(part)] == part
    # Nor on trainings as of a later partition, wherever they stand in the history, nor on later labels.
    number = data.draw(st.integers(0, len(history) - 1))
    records, versions = [], {t.as_of: f"v{DAYS.index(t.as_of)}" for t in trainings if t.outcome == "promoted"}
    for night, (error, share, _) in enumerate(history[: number + 1]):
        reigning = versions[max(as_of for as_of in versions if as_of <= day(night))]
        records.append(record(night, error, version=reigning, drifted_share=share))
    later = st.sampled_from([*promoted(number + 1, number + 9), *worse(number + 1, number + 2)])
    noisy = list(trainings)
    for training in data.draw(st.lists(later, max_size=4)):
        noisy.insert(data.draw(st.integers(0, len(noisy))), training)
    assert decide(spec, records, noisy) == whole[number]
    delay = spec.label_delay.count
    unknown = [replace(r, labelled=9, error=1e6) for r in records[len(records) - delay :]]
    relabelled = [*records[: len(records) - delay], *unknown] if delay else records
    assert decide(spec, relabelled[-len(records) :], trainings) == whole[number]


@given(st.integers(1, 5), nights, st.randoms(use_true_random=False))
def test_labels_may_come_in_any_order_and_only_those_that_came_speak(
    over: int, history: list[Night], random: Any
) -> None:
    spec = policy(on=("performance", "cusum"), over=over)
    labelled = [record(n, error) for n, (error, _, _) in enumerate(history)]
    rows = [record(n, None) for n in range(len(history))]
    for number in random.sample(range(len(rows)), len(rows)):
        rows[number] = labelled[number]
        # Of the others only that they were measured counts: a night that was not may part the window.
        those_that_came = [
            row if row.labelled else replace(row, level=1.0, promised=99.0, usual=99.0) for row in rows[:-1]
        ]
        assert decide(spec, rows, []) == decide(spec, [*those_that_came, rows[-1]], [])


@given(rules, nights)
def test_every_decision_is_one_line_and_says_what_it_means(spec: Spec, history: list[Night]) -> None:
    for decision in replay(spec, history)[0]:
        assert decision.reason.startswith("retrain: " if decision.retrain else "no retraining: ")
        assert "\n" not in decision.reason
        assert decision.retrain is (
            bool(decision.evidence["firing"]) and decision.evidence["blocked"] is None
        )


def test_a_decision_looks_no_further_back_than_the_last_training() -> None:
    class Counted(list[Record]):
        looked = 0

        def __reversed__(self) -> Any:
            for row in super().__reversed__():
                Counted.looked += 1
                yield row

        def __iter__(self) -> Any:
            raise AssertionError("the whole history is read")

    rows = Counted(record(n, 99.0) for n in range(300))
    assert decide(policy(cooldown=30), rows, promoted(0, 295)).evidence["blocked"]
    # for what the signals look at, and how many came after it; a bias is judged with a week before it
    assert Counted.looked == 2 * 6 + 13
