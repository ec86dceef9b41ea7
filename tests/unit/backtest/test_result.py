"""False alarms and delays, by hand."""

from __future__ import annotations

from evergreen.backtest.result import Event, detections
from evergreen.spec import Spec


def event(partition: str | None, kind: str = "performance+cusum") -> Event:
    return Event("2024-01-01", partition, kind, "why", "v", "Ridge", promoted=True)


def test_what_triggers_a_training() -> None:
    triggered = {"performance": True, "drift+staleness": True, "staleness": False}
    triggered |= {"schedule": False, "first": False}
    assert {kind: event("2024-01-01", kind).triggered for kind in triggered} == triggered


def test_alarms_before_the_first_change_are_false_and_delays_count_from_each(kiosk: Spec) -> None:
    events = [
        event(None, "first"),
        event("2024-01-05"),
        event("2024-01-09", "staleness"),  # no answer to anything
        event("2024-01-12"),
        event("2024-01-20"),
        event("2024-02-01"),
    ]
    known = ["2024-02-01", "2024-01-10", "2024-01-25"]
    alarms, delays = detections(kiosk.calendar, events, known)
    assert alarms == 1
    assert delays == {"2024-01-10": 2, "2024-01-25": None, "2024-02-01": 0}


def test_where_nothing_ever_changes_every_alarm_is_false(kiosk: Spec) -> None:
    events = [event(None, "first"), event("2024-01-05"), event("2024-01-12"), event("2024-01-15", "schedule")]
    assert detections(kiosk.calendar, events, []) == (2, {})
