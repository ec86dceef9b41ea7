from __future__ import annotations

from evergreen.explain.explanation import Ground
from evergreen.explain.night import decision_explained
from evergreen.monitoring.record import Decision
from tests.unit.monitoring.kiosk_records import DAYS, record

SIGNALS = {
    "cusum": {"fires": True, "clause": "CUSUM 9.1 of 8"},
    "renewal": {"fires": False, "clause": "no renewal"},
}


def test_a_decision_tells_its_signals_and_what_held_it_back():
    evidence = {
        "signals": SIGNALS,
        "blocked": "cooldown: 3 of 5 days",
        "last_training": "2024-01-20",
        "breaker": {"state": "open", "worse": 3, "until": "2024-03-01"},
        "trial": {"version": "2024-01-25-bbbb", "promotes": False},
    }
    drift = {"temperature": {"drifted": True}, "price": {"drifted": False}}
    found = decision_explained(
        record(24, 12.5, drift=drift, drifted_share=0.5),
        Decision(DAYS[24], False, "no retraining: cooldown", evidence),
    )
    assert (found.kind, found.name, found.sentence) == (
        "decision",
        DAYS[24],
        f"{DAYS[24]}: no retraining: cooldown",
    )
    assert found.grounds == (
        Ground("mae", "12.5", "of 4 rows, where 10 was promised"),
        Ground("drift", "50%", "of the features drifted: temperature"),
        Ground("signal cusum", "fires", "CUSUM 9.1 of 8"),
        Ground("signal renewal", "quiet", "no renewal"),
        Ground("held back", "", "cooldown: 3 of 5 days"),
        Ground("last training", "", "as of 2024-01-20"),
        Ground("breaker", "open", "after 3 worse in a row, until 2024-03-01"),
        Ground("trial", "", "of 2024-01-25-bbbb"),
    )


def test_without_labels_the_error_is_not_known_yet():
    found = decision_explained(record(24, None), Decision(DAYS[24], False, "no labels", {}))
    assert found.grounds[0] == Ground(
        "mae", "unknown", "none of 4 rows has a label yet, where 10 was promised"
    )
