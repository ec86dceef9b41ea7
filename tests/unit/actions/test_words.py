"""What actions say will happen, held against what then does: the same history, with the event added."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evergreen.actions.action import Person
from evergreen.actions.promote import promotion
from evergreen.actions.release import releasing
from evergreen.actions.retrain import request
from evergreen.actions.rollback import rolling_back
from evergreen.registry.history import Event, Kind, fold
from evergreen.validation.quarantine import Quarantined

A, B, C = "2011-04-01-aaaa", "2011-05-01-bbbb", "2011-06-01-cccc"
NIGHTS = ["2011-05-10", "2011-06-01", "2011-06-02"]


def promoted(*versions: str) -> list[Event]:
    return [Event(seq, Kind.PROMOTED, name, name[:10], None) for seq, name in enumerate(versions, 1)]


def test_a_promotion_says_who_is_champion_and_which_nights_stay() -> None:
    seen = promotion("bikes", promoted(A, B), NIGHTS, C)
    assert (seen.possible, seen.state, seen.wanted) == (True, "2", {"version": C})
    assert seen.sentences[1:] == (
        f"The champion becomes {C}, in place of {B}.",
        "It is in force from 2011-06-01 on, whatever the gate decided.",
        "2 scored partitions of which another version is in force then keep their predictions; only what is "
        "scored again is predicted anew.",
        "Servers of predictions follow within seconds.",
    )


def test_an_older_version_does_not_become_champion() -> None:
    seen = promotion("bikes", promoted(A, C), NIGHTS, B)
    assert seen.sentences[1] == f"The champion stays {C}, which is of a later partition."
    assert seen.sentences[3].startswith(
        "1 scored partition of which another version is in force then keeps its "
    )
    assert len(seen.sentences) == 4
    assert not promotion("bikes", promoted(A, C), NIGHTS, A).possible


def test_a_rollback_names_the_version_before_or_why_there_is_none() -> None:
    seen = rolling_back("bikes", promoted(A, B), NIGHTS)
    assert seen.wanted == {"to": A}
    assert seen.sentences[0] == f"The champion becomes {A}, in place of {B}."
    for events, to, why in (
        ([], None, "No version is in force"),
        (promoted(A), None, "the only version in force"),
        (promoted(A), A, "the champion already"),
        (promoted(A, B), C, "was never promoted"),
    ):
        refused = rolling_back("bikes", events, NIGHTS, to)
        assert (refused.possible, why in refused.sentences[0]) == (False, True)


@given(st.lists(st.sampled_from([A, B, C]), min_size=2, max_size=3, unique=True))
def test_what_a_rollback_says_is_what_the_history_then_gives(order: list[str]) -> None:
    events = promoted(*order)
    force, seen = fold(events), rolling_back("bikes", events, [])
    event = Event(force.seq + 1, Kind.ROLLED_BACK, seen.wanted["to"], str(force.start), force.champion())
    after = force.after(event)
    assert f"The champion becomes {after.champion()}, in place of {force.champion()}." in seen.sentences
    assert not after.holds(str(force.champion()))


def test_a_release_counts_what_is_broken() -> None:
    rows = [Quarantined("2011-06-01", row, broken, "") for row, broken in (("a", "x; y"), ("b", "x"))]
    seen = releasing("bikes", "2011-06-01", rows)
    assert seen.sentences[0] == "2 rows in quarantine: x (2), y (1)."
    assert releasing("bikes", "2011-06-01", rows[::-1]).state == seen.state
    assert releasing("bikes", "2011-06-01", rows[:1]).state != seen.state
    assert not releasing("bikes", "2011-06-01", []).possible


def test_one_person_asks_for_one_training_of_the_same_state() -> None:
    first, again = (request("2011-06-02", "s", Person("eve", why)) for why in ("", "now"))
    assert first.run_id == again.run_id != request("2011-06-02", "s", Person("bob")).run_id
    assert first.run_id != request("2011-06-02", "t", Person("eve")).run_id
    assert again.conf["reason"]["sentence"] == "asked for by eve: now"
