"""Trainings, as the registry's history tells them."""

from __future__ import annotations

from typing import Any

from evergreen.monitoring.trainings import Training, on_trial, trainings_of
from evergreen.registry import history as registered
from evergreen.registry.history import Event, Kind
from evergreen.training_set.window import Change
from tests.unit.monitoring.kiosk_policies import KIOSK, day


def event(seq: int, what: Kind, number: int, **reason: Any) -> Event:
    return Event(seq, what, f"{day(number)}-{seq:012}", day(number), None, reason)


def test_trainings_are_what_was_promoted_or_refused_in_the_order_it_happened() -> None:
    late, change = event(4, Kind.PROMOTED, 3), Change(day(1), "cusum", day(2))
    evidence = {"change": change.to_dict()}
    history = [
        event(1, Kind.PROMOTED, 1, kind="first"),
        event(2, Kind.REFUSED, 3, kind="performance+drift", evidence=evidence),
        event(3, Kind.ROLLED_BACK, 1),
        late,
        event(5, Kind.REMOVED, 1),
        event(6, Kind.REFUSED, 2, kind="shell", verdict="inconclusive"),
        Event(7, Kind.CANARY, f"{day(9)}-waits", day(9), None, share=0.05),
    ]
    versions = [late.version, f"{day(9)}-waits", f"{day(7)}-waits"]
    assert trainings_of(history, versions) == [
        Training(day(1), "promoted", "first", f"{day(1)}-{1:012}", day(1)),
        Training(day(3), "worse", "performance+drift", f"{day(3)}-{2:012}", change=change),
        Training(day(3), "promoted", "", late.version, day(3)),
        Training(day(2), "inconclusive", "shell", f"{day(2)}-{6:012}"),
        Training(day(7), "waiting"),
        Training(day(9), "waiting"),
    ]


def test_on_trial_is_the_version_that_the_history_says() -> None:
    kinds = {"p": (Kind.PROMOTED, {}), "w": (Kind.REFUSED, {"verdict": "worse"}), "b": (Kind.ROLLED_BACK, {})}
    kinds["i"] = Kind.REFUSED, {"verdict": "inconclusive"}
    for told in ("", "p", "pi", "pib", "piw", "pii", "ip", "pipw"):
        events = [event(seq, kinds[one][0], seq, **kinds[one][1]) for seq, one in enumerate(told, 1)]
        rival = on_trial(KIOSK, trainings_of(events))
        assert registered.on_trial(events) == (rival and rival.version), told
