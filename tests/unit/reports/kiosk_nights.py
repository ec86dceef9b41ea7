"""Facts of nights and of a week of the kiosk, for tests of reports."""

from __future__ import annotations

from typing import Any

from evergreen.explain.explanation import Explanation, Ground
from evergreen.monitoring.record import Decision
from evergreen.registry.history import Event, Kind
from evergreen.reports.facts import NightFacts, WeekFacts
from evergreen.signals.record import Record
from tests.unit.monitoring.kiosk_records import DAYS, record

WEEK = DAYS[21:28]
VERSION = "2024-01-20-aaaa"
BROKEN = Ground("sold is not null", "in quarantine", "3 of its rows, such as: sold is missing")


def came(number: int, said: str = "is published with 24 rows", *grounds: Ground) -> Explanation:
    return Explanation("partition", DAYS[number], f"{DAYS[number]} {said}", grounds)


def night(number: int, retrain: bool = False, **changes: Any) -> tuple[Record, Decision]:
    reason = "retrain: mae is worse" if retrain else "no retraining: as promised"
    return record(number, **changes), Decision(DAYS[number], retrain, reason, {})


def facts(number: int = 22, **changes: Any) -> NightFacts:
    """A quiet night, by default; `changes` are of its fields."""
    values: dict[str, Any] = {
        "partition": DAYS[number],
        "came": came(number),
        "published": DAYS[: number + 1],
        "records": {DAYS[day]: {"rows": 24, "quarantined": 0} for day in range(number - 8, number + 1)},
        "nights": [night(day) for day in range(number - 3, number + 1)],
        "in_force": VERSION,
    }
    return NightFacts(**{**values, **changes})


def week(**changes: Any) -> WeekFacts:
    """A quiet week of seven days, by default; `changes` are of its fields."""
    values: dict[str, Any] = {
        "week": WEEK[0],
        "over": True,
        "expected": WEEK,
        "published": WEEK,
        "records": {key: {"rows": 24, "quarantined": 0} for key in WEEK},
        "nights": [night(number) for number in range(14, 28)],
        "in_force": VERSION,
    }
    return WeekFacts(**{**values, **changes})


def event(kind: Kind, as_of: str, **changes: Any) -> Event:
    return Event(1, kind, **{"version": f"{as_of}-bbbb", "as_of": as_of, "replaces": VERSION, **changes})
