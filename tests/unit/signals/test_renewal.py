"""The signal `renewal`: what became of the last training, and how much is new."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Grain
from evergreen.monitoring.policy import findings
from evergreen.monitoring.trainings import Training, on_trial, trainings_of
from evergreen.registry.history import Event, Kind
from evergreen.signals.last import LastTraining
from evergreen.signals.renewal import Renewal
from evergreen.spec import Monitoring, Retrain
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK, record

SPEC = KIOSK.model_copy(
    update={
        "monitoring": Monitoring(renewal=Renewal(unseen=0.25, gain=0.01), retrain=Retrain(on=("renewal",)))
    }
)
HISTORY = 40  # partitions in the training window of `record`


def fires(last: LastTraining) -> bool:
    return findings(SPEC, [record(0)], last)["renewal"].fires


@pytest.mark.parametrize(
    ("last", "wanted"),
    [
        (LastTraining("none", 40), False),
        (LastTraining("kept", 40), False),
        (LastTraining("promoted", 9), False),
        (LastTraining("promoted", 10), True),
        (LastTraining("on trial", 40, None), False),
        (LastTraining("on trial", 40, 0.009), False),
        (LastTraining("on trial", 40, -0.5), False),
        (LastTraining("on trial", 19, 0.01), False),  # twice as much must be new
        (LastTraining("on trial", 20, 0.01), True),
    ],
    ids=str,
)
def test_it_fires_where_the_last_training_helped_and_enough_is_new(last: LastTraining, wanted: bool) -> None:
    assert fires(last) is wanted


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (LastTraining("none", 40), "no renewal: only the first model was trained so far"),
        (LastTraining("kept", 40), "no renewal: the last training did not help"),
        (LastTraining("on trial", 40), "no renewal: the last training did not help"),
        (
            LastTraining("on trial", 40, 0.004),
            "no renewal: the last challenger gains 0.4% so far (1% wanted)",
        ),
        (LastTraining("promoted", 10), "25% of the training window is new (renewed at 25%)"),
        (LastTraining("on trial", 10, 0.1), "25% of the training window is new (renewed at 50%)"),
    ],
    ids=str,
)
def test_it_says_why(last: LastTraining, words: str) -> None:
    assert findings(SPEC, [record(0)], last)["renewal"].clause == words


@given(st.integers(0, 200), st.floats(-1, 1))
def test_what_fires_on_trial_would_fire_promoted(fresh: int, gain: float) -> None:
    assert fires(LastTraining("promoted", fresh)) >= fires(LastTraining("on trial", fresh, gain))


# which challenger is on trial


def test_a_snapshot_has_no_trials() -> None:
    snapshot = KIOSK.model_copy(update={"partition": Grain.SNAPSHOT})
    assert on_trial(snapshot, [promoted(1), inconclusive(5)]) is None


def inconclusive(number: int) -> Training:
    return Training(DAYS[number], "inconclusive", "cusum", f"v{number}")


def promoted(number: int, known_from: str = "") -> Training:
    return Training(DAYS[number], "promoted", "cusum", f"v{number}", known_from)


@pytest.mark.parametrize(
    ("trainings", "version"),
    [
        ([], None),
        ([promoted(1)], None),
        ([promoted(1), inconclusive(5)], "v5"),
        ([promoted(1), inconclusive(5), inconclusive(9)], "v9"),
        ([promoted(1), inconclusive(5), Training(DAYS[9], "worse", "", "v9")], "v5"),
        ([promoted(1), inconclusive(5), Training(DAYS[9], "waiting")], "v5"),
        ([promoted(1), inconclusive(5), promoted(9)], None),
        ([promoted(1), inconclusive(5), promoted(5, DAYS[20])], None),
        ([inconclusive(5), promoted(9), inconclusive(12)], "v12"),
        ([promoted(1), Training(DAYS[5], "inconclusive")], None),
    ],
)
def test_the_newest_inconclusive_one_since_the_last_promotion(
    trainings: list[Training], version: str | None
) -> None:
    found = on_trial(KIOSK, trainings)
    assert (found.version if found else None) == version


@pytest.mark.parametrize(
    ("training", "since"),
    [(inconclusive(5), 5), (promoted(5), 5), (promoted(5, DAYS[20]), 20)],
)
def test_what_became_of_it_is_known_from_a_partition_on(training: Training, since: int) -> None:
    assert not training.known(DAYS[since - 1])
    assert training.known(DAYS[since])


def test_a_promotion_by_trial_counts_beside_the_verdict_of_the_gate() -> None:
    version = f"{DAYS[5]}-0123456789ab"
    events = [
        Event(1, Kind.REFUSED, version, DAYS[5], None, {"kind": "cusum", "verdict": "inconclusive"}),
        Event(2, Kind.PROMOTED, version, DAYS[20], None, {"kind": "trial"}),
    ]
    refused, by_trial = trainings_of(events)
    assert (refused.outcome, refused.version, by_trial.outcome, by_trial.as_of) == (
        "inconclusive",
        version,
        "promoted",
        DAYS[5],
    )
    known = {day: [one for one in (refused, by_trial) if one.known(day)] for day in (DAYS[19], DAYS[20])}
    assert on_trial(KIOSK, known[DAYS[19]]) == refused
    assert on_trial(KIOSK, known[DAYS[20]]) is None
