from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from evergreen.errors import NotFoundError
from evergreen.registry import registry as module
from evergreen.registry.history import Event, Kind
from evergreen.registry.registry import Registry
from evergreen.storage import Credentials, Storage
from tests.faults.memory_client import MemoryClient

A, B, C, D = "2011-04-01-aaaa", "2011-05-01-bbbb", "2011-06-01-cccc", "2011-07-01-dddd"
YEAR = timedelta(days=365)


class World:
    """A registry whose clock, and whose store's clock, stand where they are put."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = datetime(2020, 1, 1, tzinfo=UTC)
        self.storage = Storage("bucket", "", Credentials())
        self.storage._client = MemoryClient(lambda: self.now)
        clock = mock.Mock(wraps=datetime)
        clock.now.side_effect = lambda zone: self.now
        monkeypatch.setattr(module, "datetime", clock)
        self.registry = Registry(self.storage, "bikes")

    def promote(self, *versions: str) -> None:
        for version in versions:
            self.commit(version)
            self.registry.promote(version, version[:10], {})

    def commit(self, version: str) -> None:
        self.registry.commit(version, {"model.skops": b"model", "metrics.json": b"{}"})

    def after(self, days: int) -> None:
        self.now += timedelta(days=days)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_refused_version_goes_after_the_retention(world: World):
    world.commit(A)
    world.registry.refuse(A, "2011-04-01", {})
    world.after(365)
    world.promote(B)
    assert world.registry.clean(YEAR).versions == ()
    world.after(1)
    world.promote(C)
    assert world.registry.clean(YEAR).versions == (A,)
    assert world.storage.list(f"models/{A}/") == []
    assert world.registry.versions() == [C, B]
    assert world.registry.verify() == []


def test_what_is_in_force_for_any_partition_stays_for_ever(world: World):
    world.promote(A, B, C)
    world.after(4000)
    world.promote(D)
    assert world.registry.clean(YEAR).versions == ()
    assert [world.registry.rollback().version for _ in range(3)] == [C, B, A]


def test_a_withdrawn_version_goes_and_its_history_stays(world: World):
    world.promote(A, B)
    world.registry.rollback()
    world.after(400)
    world.promote(C)
    before = world.registry.history()
    assert world.registry.clean(YEAR).versions == (B,)
    assert world.registry.history()[:-1] == before
    event = world.registry.history()[-1]
    assert (event.kind, event.version, event.as_of, event.seq) == (Kind.REMOVED, B, "2011-05-01", 5)
    assert event.by
    assert event.at == world.now.isoformat(timespec="seconds")
    assert event.reason == {"retention_days": 365.0, "until": world.now.isoformat()}


def test_a_removed_version_is_never_put_in_force_again(world: World):
    world.promote(A, B)
    world.registry.rollback()
    world.after(400)
    world.promote(C)
    world.registry.clean(YEAR)
    with pytest.raises(NotFoundError, match=rf"bikes: {B} was removed by .* \(event 5\)"):
        world.registry.rollback(B)
    world.commit(B)  # training the same again gives the same id
    with pytest.raises(NotFoundError, match=f"{B} was removed"):
        world.registry.promote(B, B[:10], {})
    assert world.registry.clean(YEAR).versions == (B,)


def test_what_a_recent_event_names_stays(world: World):
    world.promote(A, B)
    world.after(400)
    world.registry.rollback()  # names A and B
    assert world.registry.clean(YEAR).versions == ()


def test_a_version_that_nobody_decided_about_counts_from_its_manifest(world: World):
    world.commit(A)
    world.after(364)
    world.promote(B)
    assert world.registry.clean(YEAR).versions == ()
    world.after(2)
    world.promote(C)
    assert world.registry.clean(YEAR).versions == (A,)


def test_a_dry_run_changes_nothing_and_says_what_would_go(world: World):
    world.promote(A, B)
    world.registry.rollback()
    world.storage.stage(f"models/{D}/model.skops", b"left")
    world.after(400)
    world.promote(C)
    before = world.storage.list("")
    told = world.registry.clean(YEAR, dry_run=True)
    assert (told.versions, told.leftovers) == ((B,), (D,))
    assert world.storage.list("") == before
    assert world.registry.clean(YEAR) == told
    again = world.registry.clean(YEAR)
    assert (again.versions, again.leftovers) == ((), ())


def test_cleaning_does_not_age_what_is_left(world: World):
    world.commit(A)
    world.registry.refuse(A, "2011-04-01", {})
    world.after(300)
    world.commit(B)
    world.registry.refuse(B, "2011-05-01", {})
    world.after(70)
    world.promote(C)
    world.after(300)  # cleaning is an event of this day, and B is older than a year by then
    assert world.registry.clean(YEAR).versions == (A,)
    assert world.registry.clean(YEAR).versions == ()
    assert world.registry.clean(YEAR, moment=world.now).versions == (B,)


def test_a_commit_of_today_is_no_leftover_and_is_told(world: World):
    world.promote(A)
    world.storage.stage(f"models/{B}/model.skops", b"half")
    assert world.registry.clean(YEAR).leftovers == ()
    assert world.registry.leftovers() == [B]
    assert world.registry.verify() == []
    world.after(2)
    world.promote(C)
    assert world.registry.clean(YEAR).leftovers == (B,)
    assert world.registry.leftovers() == []


def test_nothing_is_removed_without_a_history(world: World):
    world.commit(A)
    world.storage.stage(f"models/{B}/model.skops", b"half")
    world.after(4000)
    assert world.registry.clean(YEAR).moment is None
    assert world.registry.versions() == [A]


def test_an_event_that_does_not_say_when_holds_on(world: World):
    world.commit(A)
    event = Event(1, Kind.REFUSED, A, "2011-04-01", None, {}, "long ago", "")
    world.storage.create("history/00000001.json", event.to_json())
    world.after(4000)
    world.promote(B)
    assert world.registry.clean(YEAR).versions == ()


@pytest.mark.parametrize("left", ["manifest.json", "metrics.json"])
def test_a_cleaning_that_died_half_way_is_ended_by_the_next(world: World, left: str):
    world.promote(A, B)
    world.registry.rollback()
    world.after(400)
    world.promote(C)
    manifest = world.storage.read(f"models/{B}/manifest.json").body
    world.registry.clean(YEAR)
    world.storage.stage(f"models/{B}/{left}", manifest)
    world.registry.verify()
    world.registry.clean(YEAR)
    assert world.storage.list(f"models/{B}/") == []


def test_the_manifest_goes_first(world: World):
    world.commit(A)
    world.registry.refuse(A, "2011-04-01", {})
    world.after(400)
    world.promote(B)
    asked: list[list[str]] = []
    delete = world.storage._client.delete_objects

    def noted(**named):
        asked.append([entry["Key"].rpartition("/")[2] for entry in named["Delete"]["Objects"]])
        return delete(**named)

    world.storage._client.delete_objects = noted
    world.registry.clean(YEAR)
    assert asked == [["manifest.json"], ["metrics.json", "model.skops"]]


def test_who_promotes_a_version_that_is_being_removed_keeps_it(world: World, monkeypatch: pytest.MonkeyPatch):
    world.promote(A, B)
    world.registry.rollback()
    world.after(400)
    world.promote(C)
    other = Registry(world.storage, "bikes")
    create = Storage.create

    def overtaken(storage: Storage, key: str, body: bytes, note: str = "") -> str:
        monkeypatch.setattr(Storage, "create", create)
        other.promote(B, B[:10], {})
        return create(storage, key, body, note)

    monkeypatch.setattr(Storage, "create", overtaken)
    assert world.registry.clean(YEAR).versions == ()
    assert other.champion("2011-05-02") == B
    assert world.registry.read(B, "model.skops") == b"model"
    assert world.registry.verify() == []


def test_a_canary_stays_while_it_answers(world: World):
    world.promote(A)
    world.commit(B)
    world.registry.canary(B, 0.05, {})
    world.after(400)
    world.commit(C)
    world.registry.refuse(C, C[:10], {})
    assert world.registry.clean(YEAR).versions == ()
    world.registry.canary(B, 0, {})
    world.after(400)
    world.registry.refuse(C, C[:10], {"again": True})
    world.promote(D)
    assert B in world.registry.clean(YEAR).versions
