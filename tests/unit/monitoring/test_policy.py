"""The policy: limits and circuit by table, the sentence to the letter, and what must hold for any history."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Grain
from evergreen.monitoring.policy import Training, blocked, circuit_open, decide, trainings_of
from evergreen.monitoring.record import Decision
from evergreen.registry.history import Event, Kind
from evergreen.signals.drift import Drift
from evergreen.signals.performance import Cusum, Performance
from evergreen.signals.record import Record
from evergreen.signals.staleness import Staleness
from evergreen.spec import Labels, Monitoring, Retrain, Spec, parse_spec
from evergreen.units import Budget, Times
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK, record

IRIS = parse_spec(Path(__file__).parents[3] / "include" / "pipelines" / "iris" / "pipeline.yaml")
FREE, TWO_OF_THREE = Budget(1000, 1), Times(2, 3)


def policy(
    on: tuple[str, ...] = ("performance",),
    over: int = 3,
    tolerance: float = 0.5,
    cooldown: int = 0,
    budget: Budget = FREE,
    refusals: int = 1000,
    delay: int = 0,
    of: Spec = KIOSK,
) -> Spec:
    monitoring = Monitoring(
        performance=Performance(tolerance=tolerance, over=over, cusum=Cusum(k=0.5, h=4)),
        drift=Drift(share=0.5),
        staleness=Staleness(unseen=0.5),
        retrain=Retrain(on=on, when=TWO_OF_THREE, cooldown=cooldown, budget=budget, refusals=refusals),
    )
    labels = Labels(source=KIOSK.sources["sales"], delay=delay) if delay else None
    return of.model_copy(update={"monitoring": monitoring, "labels": labels})


def day(number: int) -> str:
    return DAYS[number]


def promoted(*numbers: int) -> list[Training]:
    return [Training(day(number), "promoted") for number in numbers]


def refused(*numbers: int) -> list[Training]:
    return [Training(day(number), "refused") for number in numbers]


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
        "circuit_open": False,
        "last_training": day(0),
        "champion": "v1",
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
        "the last training was as of 2024-01-01 and the cooldown of 30 days ends with 2024-01-31"
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
    decision = decide(spec, [record(0, 99.0, partition=newest)], [Training(last, "refused")])
    assert decision.reason.endswith(f"; {words}")
    assert spec.calendar.distance(last, spec.calendar.shift(newest, 1)) == int(words.split()[2])


# which partitions speak


def test_records_of_an_earlier_champion_do_not_speak() -> None:
    rows = [record(n, 99.0, version="v0") for n in range(5)] + [record(5, 10.0), record(6, 10.0)]
    assert not decide(policy(), rows, []).retrain


def test_what_a_training_answered_does_not_speak_again() -> None:
    rows = [record(n, 99.0) for n in range(6)]
    assert not decide(policy(), rows, refused(4)).retrain  # only days 4 and 5 came after it
    assert decide(policy(), [*rows, record(6, 99.0)], refused(4)).retrain
    for signal in ("cusum", "drift", "prediction_drift", "staleness"):
        drifted = {"drifted_share": 1.0, "prediction_drift": {"psi": 1.0, "drifted": True}, "history": 8}
        rows = [record(n, 13.0, **drifted) for n in range(6)]
        assert decide(policy(on=(signal,)), rows, []).retrain, signal
        assert not decide(policy(on=(signal,)), rows, refused(5)).retrain, signal


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
        ([], 7, Budget(1, 30), None),
        ([43], 7, FREE, None),
        ([44], 7, FREE, "the last training was as of 2024-02-14 and the cooldown of 7 days ends with 2024-0"),
        ([50], 0, FREE, None),
        ([21, 30, 40], 0, Budget(3, 30), "the budget of 3 trainings per 30 days is spent (3, since 2024-01-"),
        ([20, 30, 40], 0, Budget(3, 30), None),  # day 20 is 30 partitions back: outside
        ([30, 30, 30], 0, Budget(2, 30), None),  # one training, named by several events
        ([], 0, Budget(0, 30), "the budget of 0 trainings per 30 days is spent (0)"),
    ],
)
def test_cooldown_and_budget(trainings: list[int], cooldown: int, budget: Budget, why: str | None) -> None:
    for outcome in ("promoted", "refused", "undecided"):
        took_place = [Training(day(number), outcome) for number in trainings]
        found = blocked(policy(cooldown=cooldown, budget=budget), day(50), took_place)
        assert found is None if why is None else found is not None and found.startswith(why)


@pytest.mark.parametrize(
    ("trainings", "is_open"),
    [
        ([], False),
        (refused(1, 2), False),
        (refused(1, 2, 3), True),
        (refused(1, 2, 3, 4), True),
        ([*refused(1, 2), *promoted(3), *refused(4)], False),
        ([*promoted(0), *refused(1, 2, 3)], True),
        ([*refused(1, 2, 3), *promoted(9)], False),
        # By hand, after they were refused: what counts is when it happened, not what it was trained as of.
        ([*refused(1, 2, 3), *promoted(1)], False),
        ([*refused(1, 2), Training(day(3), "undecided")], False),
        ([*refused(1, 2, 3), Training(day(4), "undecided")], True),
    ],
)
def test_the_circuit_opens_after_refusals_in_a_row(trainings: list[Training], is_open: bool) -> None:
    spec = policy(refusals=3)
    assert circuit_open(spec, trainings) is is_open
    assert (blocked(spec, day(50), trainings) is not None) is is_open
    decision = decide(spec, [record(n, 99.0) for n in range(40, 50)], trainings)
    assert decision.retrain is not is_open
    assert decision.evidence["circuit_open"] is is_open


def test_an_open_circuit_is_said_whether_or_not_a_signal_fires() -> None:
    quiet = decide(policy(refusals=2), [record(n) for n in range(10, 14)], refused(1, 2))
    assert quiet.reason == (
        "no retraining: mean absolute error 10.0 over the last 3 days against 10.0 promised (tolerance 50%); "
        "the last 2 challengers were refused and none is trained until one is promoted: train or promote one "
        "by hand"
    )
    assert quiet.evidence["circuit_open"]
    assert quiet.evidence["firing"] == []


def test_a_snapshot_has_no_cooldown_but_a_circuit() -> None:
    spec = policy(of=IRIS, refusals=2)
    bad = record(0, 0.4, partition="snapshot", promised=0.95, metric="accuracy")
    once, twice = ([Training("snapshot", "refused")] * times for times in (1, 2))
    assert decide(spec, [bad], once).retrain
    assert decide(spec, [bad], once).reason == "retrain: accuracy 0.400 against 0.950 promised"
    assert decide(spec, [bad], twice).evidence["circuit_open"]
    assert not decide(spec, [bad], twice).retrain
    assert not decide(spec, [replace(bad, error=0.94)], once).retrain


# trainings from the history


def event(seq: int, what: Kind, number: int, **reason: Any) -> Event:
    return Event(seq, what, f"{day(number)}-{seq:012}", day(number), None, reason)


def test_trainings_are_what_was_promoted_or_refused_in_the_order_it_happened() -> None:
    late = event(4, Kind.PROMOTED, 3)
    history = [
        event(1, Kind.PROMOTED, 1, kind="first"),
        event(2, Kind.REFUSED, 3, kind="performance+drift"),
        event(3, Kind.ROLLED_BACK, 1),
        late,
        event(5, Kind.REMOVED, 1),
        event(6, Kind.REFUSED, 2, kind="shell"),
    ]
    versions = [late.version, f"{day(9)}-waits", f"{day(7)}-waits"]
    assert trainings_of(history, versions) == [
        Training(day(1), "promoted", "first"),
        Training(day(3), "refused", "performance+drift"),
        Training(day(3), "promoted"),
        Training(day(2), "refused", "shell"),
        Training(day(7), "undecided"),
        Training(day(9), "undecided"),
    ]


# any history

nights = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(0, 40)), st.sampled_from((0.0, 0.4, 0.6)), st.booleans()),
    min_size=1,
    max_size=60,
)
rules = st.builds(
    policy,
    on=st.sampled_from((("performance", "staleness"), ("performance", "cusum", "drift"), ("drift",))),
    over=st.integers(0, 5),
    cooldown=st.integers(0, 9),
    budget=st.builds(Budget, st.integers(0, 4), st.integers(1, 25)),
    refusals=st.integers(1, 5),
    delay=st.sampled_from((0, 0, 3)),
)
Night = tuple[float | None, float, bool]


def replay(
    spec: Spec, history: list[Night], first: str = "promoted"
) -> tuple[list[Decision], list[Training]]:
    """Decide day by day; each day says its error, its drift, and whether a training after it is promoted."""
    records: list[Record] = []
    trainings, version, decisions = [Training(day(0), first)], "v0", []
    for number, (error, share, accepted) in enumerate(history):
        records.append(record(number, error, version=version, drifted_share=share))
        decisions.append(decide(spec, records, trainings))
        if decisions[-1].retrain:
            trainings.append(Training(day(number + 1), "promoted" if accepted else "refused"))
            version = f"v{number + 1}" if accepted else version
    return decisions, trainings


@given(rules, nights)
def test_never_within_the_cooldown_and_never_over_budget_in_any_window(
    spec: Spec, history: list[Night]
) -> None:
    _, trainings = replay(spec, history)
    numbers = [DAYS.index(training.as_of) for training in trainings]
    gaps = [later - earlier for earlier, later in pairwise(numbers)]
    assert all(gap >= max(spec.monitoring.retrain.cooldown, 1) for gap in gaps)
    times, per = spec.monitoring.retrain.budget
    for start in range(len(history)):  # the first training is not the policy's
        assert sum(start <= number < start + per for number in numbers[1:]) <= times


@given(rules, nights)
def test_never_more_refusals_in_a_row_than_open_the_circuit(spec: Spec, history: list[Night]) -> None:
    decisions, trainings = replay(spec, history)
    outcomes = "".join(training.outcome[0] for training in trainings)
    allowed = spec.monitoring.retrain.refusals
    assert "r" * (allowed + 1) not in outcomes
    if outcomes.endswith("r" * allowed):
        last = DAYS.index(trainings[-1].as_of)
        assert all(decision.evidence["circuit_open"] for decision in decisions[last:])
        assert not any(decision.retrain for decision in decisions[last:])


@given(rules, nights, nights)
def test_a_promotion_by_hand_closes_the_circuit(spec: Spec, history: list[Night], more: list[Night]) -> None:
    _, trainings = replay(spec, history, first="refused")
    records = [record(n, error, version="new") for n, (error, _, _) in enumerate(more, len(history))]
    by_hand = [*trainings, Training(day(len(history)), "promoted")]
    assert not any(decide(spec, records[: n + 1], by_hand).evidence["circuit_open"] for n in range(len(more)))


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
    later = st.sampled_from([*promoted(number + 1, number + 9), *refused(number + 1, number + 2)])
    noisy = list(trainings)
    for training in data.draw(st.lists(later, max_size=4)):
        noisy.insert(data.draw(st.integers(0, len(noisy))), training)
    assert decide(spec, records, noisy) == whole[number]
    unknown = [replace(r, labelled=9, error=1e6) for r in records[len(records) - spec.label_delay :]]
    relabelled = [*records[: len(records) - spec.label_delay], *unknown] if spec.label_delay else records
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
        those_that_came = [row for row in rows[:-1] if row.labelled]
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
    assert Counted.looked == 6
