from __future__ import annotations

import json

import pytest
import skops.io
from sklearn.linear_model import LinearRegression

from evergreen.errors import ConflictError, IntegrityError, NotFoundError
from evergreen.registry.history import Canary, Kind
from evergreen.registry.model_file import dump_model
from evergreen.registry.registry import Registry
from evergreen.storage import Storage

A, B, C = "2011-04-01-aaaa", "2011-05-01-bbbb", "2011-06-01-cccc"
MODEL = dump_model(LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0]))


@pytest.fixture
def registry(storage: Storage) -> Registry:
    return Registry(storage.child("bikes"), "bikes")


def commit(registry: Registry, *versions: str) -> None:
    for version in versions:
        assert registry.commit(version, {"model.skops": MODEL, "metrics.json": b"{}"})


def promote(registry: Registry, *versions: str) -> None:
    for version in versions:
        commit(registry, version)
        registry.promote(version, version[:10], {})


def test_a_version_is_there_once_its_manifest_is(registry: Registry, storage: Storage):
    storage.stage(f"bikes/models/{A}/model.skops", MODEL)
    assert not registry.has(A)
    assert registry.versions() == []
    commit(registry, A)
    assert registry.has(A)
    assert registry.versions() == [A]
    assert registry.read(A, "metrics.json") == b"{}"


def test_layout(registry: Registry, storage: Storage):
    promote(registry, A)
    assert storage.list("bikes/") == [
        "bikes/champion.json",
        "bikes/history/00000001.json",
        f"bikes/models/{A}/manifest.json",
        f"bikes/models/{A}/metrics.json",
        f"bikes/models/{A}/model.skops",
    ]
    assert json.loads(storage.read("bikes/champion.json").body)["version"] == A


def test_a_version_is_committed_once_and_never_changes(registry: Registry):
    commit(registry, A)
    assert registry.commit(A, {"model.skops": b"other"}) is False
    assert registry.read(A, "model.skops") == MODEL
    assert registry.verify() == []


def test_what_a_crash_left_is_made_whole(registry: Registry, storage: Storage):
    storage.stage(f"bikes/models/{A}/metrics.json", b'{"mae": 1}')
    commit(registry, A)
    assert registry.read(A, "metrics.json") == b'{"mae": 1}'
    assert registry.verify() == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "manifest.json"])
def test_names_stay_in_their_folder(registry: Registry, name: str):
    with pytest.raises(ValueError, match="cannot name"):
        registry.commit(A, {name: b""})
    if name != "manifest.json":
        with pytest.raises(ValueError, match="cannot name"):
            registry.commit(name, {"a": b""})


def test_versions_are_newest_first(registry: Registry):
    commit(registry, B, C, A)
    assert registry.versions() == [C, B, A]


def test_versions_of_a_snapshot_are_in_the_order_of_their_history(registry: Registry):
    for version in ("snapshot-b", "snapshot-c", "snapshot-a"):
        commit(registry, version)
        registry.promote(version, "snapshot", {})
    assert registry.versions() == ["snapshot-a", "snapshot-c", "snapshot-b"]
    assert registry.champion("snapshot") == "snapshot-a"


def test_what_decided_versions_hold_is_not_listed_to_find_the_others(
    registry: Registry, storage: Storage, monkeypatch: pytest.MonkeyPatch
):
    promote(registry, A, B)
    commit(registry, C)
    storage.stage("bikes/models/2011-07-01-dddd/model.skops", MODEL)  # a commit that died
    looked: list[str] = []
    look = Storage.look
    monkeypatch.setattr(
        Storage, "look", lambda self, prefix, after=None: looked.append(prefix) or look(self, prefix, after)
    )
    assert registry.undecided(registry.history()) == [C]
    assert sorted(looked) == ["history/", f"models/{C}/", "models/2011-07-01-dddd/"]
    registry.canary(C, 0.1, {})
    assert registry.undecided(registry.history()) == [C]  # it still waits for somebody to decide
    registry.refuse(C, C[:10], {})
    assert registry.undecided(registry.history()) == []


def test_versions_since_an_as_of_take_one_listing(
    registry: Registry, storage: Storage, monkeypatch: pytest.MonkeyPatch
):
    promote(registry, A, B)
    commit(registry, C)
    looked: list[str] = []
    look = Storage.look
    monkeypatch.setattr(
        Storage, "look", lambda self, prefix, after=None: looked.append(prefix) or look(self, prefix, after)
    )
    assert registry.versions(since=B[:10]) == [C, B]
    assert sorted(looked) == ["history/", "models/"]


def test_a_loaded_model_predicts(registry: Registry):
    commit(registry, A)
    assert registry.load(A).predict([[2.0]]) == pytest.approx([5.0])


def test_unknown_versions_and_files_are_named(registry: Registry):
    with pytest.raises(NotFoundError, match=f"bikes: no version {A}: see evergreen models list bikes"):
        registry.load(A)
    with pytest.raises(NotFoundError, match=f"no version {A}"):
        registry.promote(A, "2011-04-01", {})
    commit(registry, A)
    with pytest.raises(NotFoundError, match=r"has no file 'card.html', only metrics.json, model.skops"):
        registry.read(A, "card.html")


@pytest.mark.parametrize("place", [0, 100, len(MODEL) // 2, len(MODEL) - 1])
def test_a_model_file_with_one_byte_changed_is_never_interpreted(
    registry: Registry, storage: Storage, monkeypatch: pytest.MonkeyPatch, place: int
):
    commit(registry, A)
    body = bytearray(MODEL)
    body[place] ^= 1
    storage.stage(f"bikes/models/{A}/model.skops", bytes(body))
    touched: list[str] = []
    for name in ("loads", "get_untrusted_types"):
        monkeypatch.setattr(skops.io, name, lambda *args, name=name, **kwargs: touched.append(name))
    with pytest.raises(
        IntegrityError, match=rf"bikes: version {A}: 'model.skops' .* it is not loaded; restore"
    ):
        registry.load(A)
    assert touched == []
    assert len(registry.verify()) == 1


def test_a_file_that_is_gone_is_a_matter_of_integrity(registry: Registry, storage: Storage):
    commit(registry, A)
    storage.delete_all(f"bikes/models/{A}/model.skops")
    with pytest.raises(IntegrityError, match=r"'model.skops' is gone"):
        registry.load(A)


def test_a_manifest_that_is_no_json_is_a_matter_of_integrity(registry: Registry, storage: Storage):
    storage.stage(f"bikes/models/{A}/manifest.json", b"{")
    with pytest.raises(IntegrityError, match=f"the manifest of version {A}"):
        registry.load(A)
    assert "manifest" in registry.verify()[0]


def test_the_champion_as_of_a_partition(registry: Registry):
    promote(registry, A, C, B)
    days = ("2011-03-31", "2011-04-01", "2011-05-02", "2012-01-01", None)
    assert [registry.champion(day) for day in days] == [None, A, B, C, C]


def test_no_champion_without_a_promotion(registry: Registry):
    assert registry.champion() is None
    assert registry.verify() == []
    commit(registry, A)
    registry.refuse(A, "2011-04-01", {"gate": "worse"})
    assert registry.champion() is None


def test_events_tell_what_happened(registry: Registry):
    promote(registry, A)
    commit(registry, B, C)
    registry.refuse(B, "2011-05-01", {"gate": "worse"})
    registry.promote(C, "2011-06-01", {"trigger": "drift"})
    events = registry.history()
    assert [(e.seq, e.kind, e.version, e.as_of, e.replaces) for e in events] == [
        (1, Kind.PROMOTED, A, "2011-04-01", None),
        (2, Kind.REFUSED, B, "2011-05-01", A),
        (3, Kind.PROMOTED, C, "2011-06-01", A),
    ]
    assert events[2].reason == {"trigger": "drift"}


def test_the_author_is_the_dag_run(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "bikes_train")
    monkeypatch.setenv("AIRFLOW_CTX_DAG_RUN_ID", "manual__1")
    promote(registry, A)
    assert registry.history()[0].by == "bikes_train manual__1"


def test_what_happened_happens_once(registry: Registry):
    promote(registry, A, B)
    commit(registry, C)
    first = registry.refuse(C, "2011-06-01", {})
    assert registry.refuse(C, "2011-06-01", {}) == first
    assert registry.promote(A, "2011-04-01", {"other": "reason"}) == registry.history()[0]
    assert registry.promote(B, "2011-05-01", {}) == registry.history()[1]
    assert len(registry.history()) == 3


def test_a_refused_version_can_be_promoted_by_hand(registry: Registry):
    commit(registry, A)
    registry.refuse(A, "2011-04-01", {})
    registry.promote(A, "2011-04-01", {"trigger": "by hand"})
    assert registry.champion() == A


def test_a_rollback_brings_the_one_before_back(registry: Registry):
    promote(registry, A, B, C)
    event = registry.rollback()
    assert (event.kind, event.version, event.replaces, event.as_of) == (Kind.ROLLED_BACK, B, C, "2011-06-01")
    assert registry.champion() == B
    assert registry.rollback().version == A
    assert registry.verify() == []


def test_a_rollback_to_a_version_happens_once(registry: Registry):
    promote(registry, A, B, C)
    event = registry.rollback(A)
    assert registry.rollback(A) == event
    days = ("2011-04-02", "2011-05-02", "2011-06-02")
    assert [registry.champion(day) for day in days] == [A, B, A]
    assert registry.promote(C, "2011-06-01", {}).seq == 5
    assert registry.champion() == C


def test_a_rollback_never_puts_a_version_before_its_own_as_of(registry: Registry):
    promote(registry, A, B, C)
    registry.rollback(A)
    registry.rollback(C)
    days = ("2011-04-01", "2011-05-31", "2011-06-01")
    assert [registry.champion(day) for day in days] == [None, B, C]


def test_there_may_be_nothing_to_roll_back_to(registry: Registry):
    with pytest.raises(NotFoundError, match="bikes: nothing to roll back: no version was promoted yet"):
        registry.rollback()
    promote(registry, A)
    with pytest.raises(NotFoundError, match=f"{A} is the only version in force"):
        registry.rollback()
    commit(registry, B)
    with pytest.raises(NotFoundError, match=f"{B} was never promoted: evergreen models promote bikes {B}"):
        registry.rollback(B)
    with pytest.raises(NotFoundError, match=f"no version {C}"):
        registry.rollback(C)


def test_a_pointer_that_lags_is_read_right_reported_and_fixed(registry: Registry, storage: Storage):
    promote(registry, A)
    pointer = storage.read("bikes/champion.json").body
    promote(registry, B)
    storage.stage("bikes/champion.json", pointer)
    assert registry.champion() == B
    (problem,) = registry.verify()
    assert "at event 1 of 2" in problem
    assert registry.promote(B, "2011-05-01", {}).seq == 2
    assert registry.verify() == []


def test_a_pointer_that_is_lost_is_written_again(registry: Registry, storage: Storage):
    promote(registry, A)
    storage.delete_all("bikes/champion.json")
    assert registry.champion() == A
    registry.promote(A, "2011-04-01", {})
    assert registry.verify() == []


def pointer_of(version: str, as_of: str, seq: int, in_force: list[list[str]]) -> bytes:
    return json.dumps({"version": version, "as_of": as_of, "seq": seq, "in_force": in_force}).encode()


STACK = [["2011-04-01", A], ["2011-05-01", B]]
POINTERS = {
    "version by hand": pointer_of(A, "2011-05-01", 2, STACK),
    "as-of by hand": pointer_of(B, "2011-06-01", 2, STACK),
    "in force by hand": pointer_of(A, "2011-04-01", 2, STACK[:1]),
    "unknown version": pointer_of("x", "2011-05-01", 2, [["2011-05-01", "x"]]),
    "of another pipeline": pointer_of(
        "2012-01-01-eeee", "2012-01-01", 9, [["2012-01-01", "2012-01-01-eeee"]]
    ),
    "garbage": b"\x00\xffgarbage",
    "null": b"null",
    "empty": b"",
    "truncated": pointer_of(B, "2011-05-01", 2, STACK)[:40],
    "without a version": b'{"seq": 2, "in_force": [["2011-04-01", "x"]]}',
    "missing": None,
}


def with_pointer(storage: Storage, body: bytes | None) -> Registry:
    if body is None:
        storage.delete_all("bikes/champion.json")
    else:
        storage.stage("bikes/champion.json", body)
    return Registry(storage.child("bikes"), "bikes")


@pytest.mark.parametrize("body", POINTERS.values(), ids=POINTERS)
def test_beside_a_whole_history_no_pointer_is_believed_that_differs(
    registry: Registry, storage: Storage, body: bytes | None, caplog: pytest.LogCaptureFixture
):
    promote(registry, A, B)
    commit(registry, C)
    for act, champion in (
        (lambda found: found.promote(B, "2011-05-01", {}), B),
        (lambda found: found.promote(C, "2011-06-01", {}), C),
        (lambda found: found.rollback(), B),
    ):
        found = with_pointer(storage, body)
        caplog.clear()
        before = found.champion()
        assert before == Registry(storage.child("bikes"), "bikes").champion()
        assert before in (B, C)
        assert found.champion("2011-04-15") == A
        (problem,) = found.verify()
        # The remedy that is told is the one that works.
        assert f"evergreen models promote bikes {before} " in problem
        assert body is None or problem in caplog.text
        act(found)
        assert found.verify() == []
        assert json.loads(storage.read("bikes/champion.json").body)["version"] == champion
        assert Registry(storage.child("bikes"), "bikes").champion() == champion


HISTORIES = {"lost": None, "empty": b"", "garbage": b"{]", "another event": b"first"}


@pytest.mark.parametrize("seq", [1, 2])
@pytest.mark.parametrize("body", HISTORIES.values(), ids=HISTORIES)
def test_beside_a_damaged_history_the_pointer_is_read_and_nothing_is_written(
    registry: Registry, storage: Storage, body: bytes | None, seq: int, caplog: pytest.LogCaptureFixture
):
    promote(registry, A, B)
    commit(registry, C)
    key = f"bikes/history/{seq:08d}.json"
    whole = {name: storage.read(name).body for name in storage.list("bikes/history/")}
    if body is None:
        storage.delete_all(key)
    else:
        storage.stage(key, whole[f"bikes/history/{3 - seq:08d}.json"] if body == b"first" else body)
    found = Registry(storage.child("bikes"), "bikes")
    assert found.champion() == B
    assert found.champion("2011-04-15") == A
    assert "champion.json says what is in force" in caplog.text
    for act in (lambda: found.promote(C, "2011-06-01", {}), found.rollback):
        with pytest.raises(IntegrityError, match=rf"{seq:08d}\.json.* from a backup"):
            act()
    assert any(f"{seq:08d}.json" in problem for problem in found.verify())
    # Without either there is no answer, but of an end that is lost with the pointer nothing is left to tell.
    pointer = storage.read("bikes/champion.json").body
    others = (b"", POINTERS["of another pipeline"], POINTERS["unknown version"])
    for other in others if (body, seq) != (None, 2) else ():
        with pytest.raises(IntegrityError, match=rf"{seq:08d}\.json.* from a backup"):
            with_pointer(storage, other).champion()
    storage.stage("bikes/champion.json", pointer)
    storage.stage(key, whole[key])
    again = Registry(storage.child("bikes"), "bikes")
    assert again.verify() == []
    assert again.promote(C, "2011-06-01", {}).seq == 3


def test_a_pointer_of_another_pipeline_counts_for_nothing_before_the_first_event(storage: Storage):
    found = with_pointer(storage, POINTERS["of another pipeline"])
    assert found.champion() is None
    (problem,) = found.verify()
    assert problem.startswith("champion.json does not match the history: delete it in s3://")
    storage.delete_all("bikes/champion.json")
    assert found.verify() == []


def test_gaps_and_lost_versions_are_reported(registry: Registry, storage: Storage):
    promote(registry, A, B, C)
    storage.delete_all("bikes/history/00000002.json")
    storage.delete_all(f"bikes/models/{C}/")
    problems = Registry(storage.child("bikes"), "bikes").verify()
    assert any("history has no event 2" in problem for problem in problems)
    assert any(f"version {C} is in the history and missing" in problem for problem in problems)


def test_nothing_is_written_onto_a_history_that_lost_its_end(registry: Registry, storage: Storage):
    promote(registry, A, B)
    commit(registry, C)
    storage.delete_all("bikes/history/00000002.json")
    with pytest.raises(IntegrityError, match=r"history has no event 2: restore history/00000002.json"):
        registry.promote(C, "2011-06-01", {})


def test_orphans_are_reported(registry: Registry, storage: Storage):
    promote(registry, A)
    for name in (f"{A}/more.txt", f"{A}/deep/more.txt", "loose.txt"):
        storage.stage(f"bikes/models/{name}", b"")
    problems = registry.verify()
    assert [problem.partition(" ")[0] for problem in problems] == [
        f"models/{A}/deep/more.txt",
        f"models/{A}/more.txt",
        "models/loose.txt",
    ]
    assert all("belongs to no manifest: delete it in s3://" in problem for problem in problems)


def test_an_event_that_cannot_be_read_is_reported(registry: Registry, storage: Storage):
    promote(registry, A)
    storage.stage("bikes/history/00000001.json", b"{")
    assert "history/00000001.json in s3://" in registry.verify()[0]


def test_a_promotion_over_a_champion_that_is_gone_is_told_who_won(registry: Registry):
    promote(registry, A)
    commit(registry, B, C)
    assert registry.promote(B, "2011-06-01", {}, over=A).replaces == A
    with pytest.raises(ConflictError) as told:
        registry.promote(C, "2011-06-01", {}, over=A)
    text = str(told.value)
    assert text.startswith(
        f"bikes: {C} is not promoted: it was compared with {A}, and since then {B} was promoted by "
    )
    assert "(event 2): train again" in text
    assert registry.promote(B, "2011-06-01", {}, over=A).seq == 2  # once it is in force, it is
    assert registry.champion() == B
    assert registry.promote(C, "2011-06-01", {}, over=B).seq == 3


def test_the_first_promotion_can_be_on_condition_that_it_is(registry: Registry):
    commit(registry, A, B)
    registry.promote(A, "2011-04-01", {}, over=None)
    with pytest.raises(ConflictError, match=f"compared with no champion, and since then {A} was"):
        registry.promote(B, "2011-05-01", {}, over=None)


@pytest.mark.parametrize("damage", ["gone", "shorter"])
def test_a_version_that_is_not_whole_is_neither_promoted_nor_rolled_back_to(
    registry: Registry, storage: Storage, damage: str
):
    promote(registry, A, B)
    commit(registry, C)
    for version in (A, C):
        key = f"bikes/models/{version}/metrics.json"
        storage.delete_all(key)
        if damage == "shorter":
            storage.stage(key, b"")
    with pytest.raises(
        IntegrityError, match=f"version {C}: 'metrics.json' (is gone|has 0 bytes instead of 2)"
    ):
        registry.promote(C, "2011-06-01", {})
    with pytest.raises(IntegrityError, match=f"version {A}: 'metrics.json'"):
        registry.rollback()
    assert registry.champion() == B


def test_a_rollback_keeps_its_reason(registry: Registry):
    promote(registry, A, B)
    assert registry.rollback(None, {"why": "it overshoots"}).reason == {"why": "it overshoots"}
    assert registry.history()[-1].by


def test_a_canary_stands_in_history_and_pointer_until_the_champion_changes(registry: Registry):
    promote(registry, A)
    commit(registry, B, C)
    started = registry.canary(B, 0.05, {"why": "try"})
    assert (started.kind, started.version, started.share, started.replaces) == (Kind.CANARY, B, 0.05, None)
    assert registry.canary(B, 0.05, {}) == started
    assert registry.canary(C, 0.1, {}).replaces == B
    assert registry.force().canary == Canary(C, 0.1)
    assert registry.champion() == A
    ended = registry.canary(C, 0, {})
    assert registry.canary(C, 0, {}) == ended
    assert registry.force().canary is None
    registry.canary(C, 1, {})
    registry.promote(B, "2011-05-01", {})
    assert registry.force().canary is None
    assert registry.verify() == []


def test_what_cannot_be_a_canary(registry: Registry):
    commit(registry, A, B)
    with pytest.raises(NotFoundError, match=f"no champion answers beside the canary {A}"):
        registry.canary(A, 0.05, {})
    registry.promote(A, "2011-04-01", {})
    with pytest.raises(ConflictError, match=f"bikes: {A} is the champion already: name another version"):
        registry.canary(A, 0.05, {})
    with pytest.raises(NotFoundError, match="2011-06-01-cccc"):
        registry.canary(C, 0.05, {})
    with pytest.raises(NotFoundError, match=f"bikes: {B} is no canary: there is nothing to end"):
        registry.canary(B, 0, {})
