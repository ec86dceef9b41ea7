from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.evaluation.verdict import Outcome
from evergreen.registry.history import (
    INCONCLUSIVE,
    Canary,
    Event,
    Force,
    Kind,
    State,
    challenger,
    fold,
    last_word,
    state_of,
)


def promoted(seq: int, version: str, as_of: str) -> Event:
    return Event(seq, Kind.PROMOTED, version, as_of, None)


def refused(seq: int, version: str, as_of: str) -> Event:
    return Event(seq, Kind.REFUSED, version, as_of, None)


def inconclusive(seq: int, version: str, as_of: str) -> Event:
    return Event(seq, Kind.REFUSED, version, as_of, None, {"verdict": "inconclusive"})


def canary(seq: int, version: str, share: float) -> Event:
    return Event(seq, Kind.CANARY, version, "1", None, share=share)


def rolled_back(seq: int, withdrawn: str, to: str, as_of: str) -> Event:
    return Event(seq, Kind.ROLLED_BACK, to, as_of, withdrawn)


def test_nothing_is_in_force_before_the_first_promotion():
    assert fold([]).champion() is None
    assert fold([refused(1, "a", "2011-04-01")]).champion() is None
    assert fold([promoted(1, "a", "2011-04-01")]).champion("2011-03-31") is None


def test_a_promotion_is_in_force_from_its_as_of_on():
    force = fold([promoted(1, "a", "2011-04-01"), promoted(2, "b", "2011-06-01")])
    assert [force.champion(day) for day in ("2011-04-01", "2011-05-31", "2011-06-01", None)] == list("aabb")


def test_an_older_training_promoted_later_leaves_the_newest_champion():
    force = fold([promoted(1, "b", "2011-06-01"), promoted(2, "a", "2011-04-01")])
    assert force.champion() == "b"
    assert force.champion("2011-05-01") == "a"


def test_of_two_promotions_as_of_one_day_the_later_is_in_force():
    force = fold([promoted(1, "a", "snapshot"), promoted(2, "b", "snapshot")])
    assert force.champion("snapshot") == "b"


def test_a_withdrawn_version_is_in_force_nowhere_and_the_one_before_is_back():
    events = [
        promoted(1, "a", "snapshot"),
        promoted(2, "b", "snapshot"),
        rolled_back(3, "b", "a", "snapshot"),
    ]
    assert fold(events).champion() == "a"
    assert not fold(events).holds("b")


def test_a_rollback_to_an_old_version_holds_from_the_withdrawn_ones_reign_on():
    events = [
        promoted(1, "a", "2011-04-01"),
        promoted(2, "b", "2011-05-01"),
        promoted(3, "c", "2011-06-01"),
        rolled_back(4, "c", "a", "2011-06-01"),
    ]
    force = fold(events)
    days = ("2011-04-15", "2011-05-15", "2011-06-15")
    assert [force.champion(day) for day in days] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("events", "states"),
    [
        ([], {"a": State.COMMITTED}),
        ([refused(1, "a", "1")], {"a": State.REFUSED}),
        ([promoted(1, "a", "1")], {"a": State.CHAMPION}),
        ([promoted(1, "a", "1"), promoted(2, "b", "2")], {"a": State.PROMOTED, "b": State.CHAMPION}),
        ([promoted(1, "a", "1"), promoted(2, "b", "1")], {"a": State.SUPERSEDED, "b": State.CHAMPION}),
        (
            [promoted(1, "a", "1"), promoted(2, "b", "2"), rolled_back(3, "b", "a", "2")],
            {"a": State.CHAMPION, "b": State.WITHDRAWN},
        ),
        (
            [promoted(1, "a", "1"), refused(2, "b", "2"), promoted(3, "b", "2")],
            {"a": State.PROMOTED, "b": State.CHAMPION},
        ),
        (
            [
                promoted(1, "a", "1"),
                inconclusive(2, "b", "2"),
                inconclusive(3, "c", "3"),
                refused(4, "d", "4"),
            ],
            {"a": State.CHAMPION, "b": State.REFUSED, "c": State.TRIAL, "d": State.REFUSED},
        ),
        ([inconclusive(1, "b", "2"), promoted(2, "a", "1")], {"a": State.CHAMPION, "b": State.REFUSED}),
        ([inconclusive(1, "b", "2"), canary(2, "b", 0.1)], {"b": State.CANARY}),
        ([inconclusive(1, "b", "snapshot")], {"b": State.REFUSED}),
    ],
)
def test_states(events: list[Event], states: dict[str, State]):
    assert {version: state_of(version, events) for version in states} == states


def test_last_word_counts_a_withdrawal():
    events = [promoted(1, "a", "1"), promoted(2, "b", "2"), rolled_back(3, "b", "a", "2")]
    assert last_word(events, "b") == events[2]
    assert last_word(events, "c") is None


def test_an_event_survives_storage():
    event = Event(7, Kind.PROMOTED, "v", "2011-04-01", "u", {"why": "drift"}, "2011-04-02T00:00:00", "me")
    assert Event.from_json(event.to_json()) == event


def test_the_pointer_names_champion_seq_and_all_in_force():
    force = fold([promoted(1, "a", "2011-04-01"), promoted(2, "b", "2011-06-01")])
    assert json.loads(force.to_json()) == {
        "version": "b",
        "as_of": "2011-06-01",
        "seq": 2,
        "in_force": [["2011-04-01", "a"], ["2011-06-01", "b"]],
    }
    assert Force.from_json(force.to_json()) == force


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Histories as a registry writes them: whoever is withdrawn was the champion."""
    events: list[Event] = []
    for seq in range(1, draw(st.integers(0, 25)) + 1):
        force = fold(events)
        version, as_of = draw(st.sampled_from("abcdef")), str(draw(st.integers(1, 6)))
        champion = force.champion()
        kind = draw(st.sampled_from(Kind))
        if kind is Kind.ROLLED_BACK and champion and champion != version:
            events.append(rolled_back(seq, champion, version, max(as_of, force.start or "")))
        elif kind is Kind.REFUSED:
            events.append(refused(seq, version, as_of))
        else:
            events.append(promoted(seq, version, as_of))
    return events


def by_definition(events: list[Event], as_of: str) -> str | None:
    """Of what was not withdrawn since, the newest as_of not after the partition; of those the last."""
    put_in_force = [
        event
        for number, event in enumerate(events)
        if event.kind != Kind.REFUSED
        and event.as_of <= as_of
        and not any(e.kind == Kind.ROLLED_BACK and e.replaces == event.version for e in events[number + 1 :])
    ]
    return max(put_in_force, key=lambda event: (event.as_of, event.seq)).version if put_in_force else None


@given(histories())
def test_the_fold_is_the_definition(events: list[Event]):
    force = fold(events)
    for as_of in map(str, range(8)):
        assert force.champion(as_of) == by_definition(events, as_of)


@given(histories(), st.data())
def test_folding_on_from_a_stored_pointer_is_folding_all(events: list[Event], data: st.DataObject):
    cut = data.draw(st.integers(0, len(events)))
    pointer = Force.from_json(fold(events[:cut]).to_json())
    assert fold(events[cut:], pointer) == fold(events)


CHAMPION = [promoted(1, "a", "1")]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([canary(2, "b", 0.05)], Canary("b", 0.05)),
        ([canary(2, "b", 0.05), canary(3, "b", 0.5)], Canary("b", 0.5)),
        ([canary(2, "b", 0.05), canary(3, "c", 0.1)], Canary("c", 0.1)),
        ([canary(2, "b", 0.05), canary(3, "b", 0)], None),
        ([canary(2, "b", 0.05), promoted(3, "b", "2")], None),
        ([canary(2, "b", 0.05), promoted(3, "c", "2")], None),
        ([promoted(2, "b", "2"), canary(3, "c", 0.05), rolled_back(4, "b", "a", "2")], None),
        ([canary(2, "b", 0.05), refused(3, "b", "2")], None),
        ([canary(2, "b", 0.05), refused(3, "c", "2")], Canary("b", 0.05)),
    ],
)
def test_a_canary_answers_until_it_is_ended_or_the_champion_changes(
    events: list[Event], expected: Canary | None
):
    force = fold(CHAMPION + events)
    assert force.canary == expected
    assert Force.from_json(force.to_json()) == force
    assert fold(events[-1:], fold(CHAMPION + events[:-1])) == force


def test_a_canary_is_in_force_for_no_partition_and_decides_nothing():
    events = [*CHAMPION, refused(2, "b", "2"), canary(3, "b", 0.2)]
    assert fold(events).champion() == "a"
    assert not fold(events).holds("b")
    assert last_word(events, "b") == events[1]
    assert state_of("b", events) is State.CANARY
    assert state_of("b", [*events, canary(4, "b", 0)]) is State.REFUSED


def test_a_canary_survives_storage_and_other_events_are_as_earlier_releases_wrote_them():
    assert Event.from_json(canary(2, "b", 0.05).to_json()) == canary(2, "b", 0.05)
    assert "share" not in json.loads(promoted(1, "a", "1").to_json())


def verdict(seq: int, version: str, said: str) -> Event:
    return Event(seq, Kind.REFUSED, version, "2011-06-01", None, {"verdict": said})


@pytest.mark.parametrize(
    ("versions", "events", "expected"),
    [
        ("ba", [], None),  # nobody answers beside it
        ("a", [promoted(1, "a", "2011-04-01")], None),
        ("ba", [promoted(1, "a", "2011-04-01")], "b"),
        ("ab", [promoted(1, "a", "2011-04-01")], None),  # it came before the champion
        ("cba", [promoted(1, "a", "2011-04-01")], "c"),
        ("cba", [promoted(1, "a", "2011-04-01"), verdict(2, "c", "worse")], "b"),
        ("cba", [promoted(1, "a", "2011-04-01"), verdict(2, "c", "declined")], "b"),
        ("cba", [promoted(1, "a", "2011-04-01"), verdict(2, "c", INCONCLUSIVE)], "c"),
        ("cba", [promoted(1, "a", "2011-04-01"), refused(2, "c", "2011-06-01")], "b"),  # of an older release
        (
            "cba",
            [
                promoted(1, "a", "2011-04-01"),
                promoted(2, "c", "2011-06-01"),
                rolled_back(3, "c", "a", "2011-06-01"),
            ],
            "b",
        ),
        ("ba", [promoted(1, "a", "x"), Event(2, Kind.CANARY, "b", "x", None, share=0.1)], "b"),
    ],
)
def test_the_challenger_is_the_newest_version_that_may_still_follow_the_champion(
    versions: str, events: list[Event], expected: str | None
):
    assert challenger(versions, events) == expected


def test_an_undecided_comparison_has_the_gates_word():
    assert Outcome.INCONCLUSIVE.value == INCONCLUSIVE
