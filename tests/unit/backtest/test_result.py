"""False alarms and delays, by hand."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from evergreen.backtest.result import Event, Night, PolicyResult, detections
from evergreen.cli.backtest import _shown
from evergreen.monitoring.record import Decision
from evergreen.signals.record import Record
from evergreen.spec import Spec


def event(partition: str | None, kind: str = "performance+cusum") -> Event:
    return Event("2024-01-01", partition, kind, "why", "v", "Ridge", "promoted")


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


def test_what_was_halted_is_said_by_stretch_and_in_the_table_of_the_shell() -> None:
    """P4c: only JSON and page said so, and only of a halt that lasted to the end."""
    states = ["closed", "open", "open", "half-open", "open", "closed"]
    nights = []
    for number, state in enumerate(states, 1):
        key = f"2024-01-0{number}"
        record = Record(key, "v", 4, 4, "mae", 1.0, 1.0, 1.0, 1.0, 0.0, {}, 1, 1)
        nights.append(Night(record, Decision(key, False, "no", {"breaker": {"state": state}})))
    events = tuple(
        Event("2024-01-01", None, "first", "why", "v", "Ridge", outcome)
        for outcome in ("promoted", "worse", "worse", "inconclusive")
    )
    found = PolicyResult("configured", "mae", 1.0, 4, 1, 3, 1.0, events=events, nights=tuple(nights))
    free = PolicyResult("never", "mae", 1.0, 1, 1, 0, 1.0, nights=(nights[0],))
    assert found.halted == [("2024-01-02", "2024-01-03"), ("2024-01-05", "2024-01-05")]
    assert (found.promotions, found.worse, found.inconclusive) == (1, 2, 1)
    assert found.to_dict()["halted"] == [
        {"from": "2024-01-02", "to": "2024-01-03"},
        {"from": "2024-01-05", "to": "2024-01-05"},
    ]
    console = Console(width=250, record=True, file=io.StringIO())
    console.print(_shown([found, free], None, Path("page.html")))
    text = console.export_text()
    assert "halted" in text
    assert "2024-01-02 to 2024-01-03, 2024-01-05" in text
    console.print(_shown([free], None, Path("page.html")))
    assert "halted" not in console.export_text()
