"""A backup and a restore die at each of their calls in turn; run again, they end as if they had not."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evergreen.backup import copies
from evergreen.backup.back_up import BackedUp, back_up
from evergreen.backup.manifest import chosen
from evergreen.backup.place import Folder
from evergreen.backup.restore import Restored, restore
from evergreen.errors import ConflictError, IntegrityError
from evergreen.registry.registry import Registry
from evergreen.storage import Credentials, Storage
from tests.faults.memory_client import MemoryClient

VERSIONS = ("2011-04-01-aaaa", "2011-05-01-bbbb")


class Killed(BaseException):
    """The end of a process."""


class Dying:
    """A place or a client whose user dies at a call: before it is made."""

    def __init__(self, inner: Any, at: int) -> None:
        self._inner, self._at, self._calls = inner, at, itertools.count(1)

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            if next(self._calls) >= self._at:
                raise Killed
            return call(*arguments, **named)

        return counted


def storage_of(client: Any) -> Storage:
    storage = Storage("bucket", "", Credentials())
    storage._client = client
    return storage


@pytest.fixture
def client() -> MemoryClient:
    """A store with a pipeline, another whose name begins so, and a run that is on its way."""
    client = MemoryClient()
    storage = storage_of(client)
    registry = Registry(storage.child("bikes"), "bikes")
    for version in VERSIONS:
        registry.commit(version, {"model.skops": b"model", "card.html": b"<html>"})
        registry.promote(version, version[:10], {})
    storage.create("bikes/models/2011-06-01-cccc/model.skops", b"of a commit that has not ended")
    storage.stage("bikes/staging/run/rows", b"passing")
    storage.stage("bikes/data_docs/index.html", b"<html>", "text/html")
    storage.upload("bikes/corrections/2011-01-01/1.json", io.BytesIO(b"{}"))
    storage.create("bikes/calendar.json", b"{}", note="a note")
    storage.stage("bikes_too/calendar.json", b"{}")
    return client


def backed_up(client: Any, place: Any) -> BackedUp:
    return back_up(storage_of(client), "bikes", place, lambda key: None)


def restored(client: Any, place: Any, number: int | None = None) -> Restored:
    return restore(storage_of(client), place, chosen(place, "bikes", number), lambda key: None)


def contents(client: MemoryClient) -> dict[str, tuple[bytes, dict[str, str], str]]:
    return {
        key: (one.body, one.metadata, one.content_type)
        for key, one in client.objects.items()
        if key.startswith("bikes/") and not key.startswith(("bikes/staging", "bikes/models/2011-06"))
    }


def killed(at: int, work: Callable[[int], object]) -> bool:
    try:
        work(at)
    except Killed:
        return True
    return False


def test_it_is_restored_to_the_byte_and_all_else_is_left_out(client: MemoryClient, tmp_path: Path) -> None:
    place, empty = Folder(tmp_path), MemoryClient()
    made = backed_up(client, place)
    assert (made.number, made.new, made.problems) == (1, True, [])
    back = restored(empty, place)
    assert (back.objects, back.written, back.problems) == (made.objects, made.objects, [])
    assert contents(empty) == contents(client)
    assert set(empty.objects) == set(contents(client))


def test_a_killed_backup_is_finished_by_the_next(
    client: MemoryClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_BATCH", 2)
    monkeypatch.setattr(copies, "COPIES", 1)
    monkeypatch.setattr(os, "fsync", lambda number: None)  # the process dies, not the machine
    whole = backed_up(client, Folder(tmp_path / "whole"))
    deaths = saved = 0
    for at in itertools.count(1):
        folder = tmp_path / str(at)
        died = killed(at, lambda at: backed_up(client, Dying(Folder(folder), at)))  # noqa: B023
        if not died:
            break
        deaths += 1
        place, empty = Folder(folder), MemoryClient()
        was_made = place.exists("backups/bikes/00000001.json")
        again = backed_up(client, place)
        assert (again.number, again.objects, again.bytes) == (1, whole.objects, whole.bytes)
        assert again.new is not was_made
        saved = max(saved, whole.copied - again.copied)
        restored(empty, place)
        assert contents(empty) == contents(client)
        assert [key for key in place.list("backups/") if "begun" in key] == []
    assert deaths > 30
    assert saved == whole.copied


def test_a_killed_restore_is_finished_by_the_next(client: MemoryClient, tmp_path: Path) -> None:
    place, deaths = Folder(tmp_path), 0
    backed_up(client, place)
    for at in itertools.count(1):
        store = MemoryClient()
        died = killed(at, lambda at: restored(Dying(store, at), place))  # noqa: B023
        if not died:
            break
        deaths += 1
        half = storage_of(store).child("bikes")
        assert half.exists("champion.json") is (contents(store) == contents(client))
        half.delete_all(".probe/")
        restored(store, place)
        assert contents(store) == contents(client)
    assert deaths > 20


def test_what_is_there_already_is_not_read_again_and_changes_make_another(
    client: MemoryClient, tmp_path: Path
) -> None:
    place = Folder(tmp_path)
    first, second = backed_up(client, place), backed_up(client, place)
    assert (second.number, second.new, second.copied) == (1, False, 0)
    storage_of(client).stage("bikes/alerts/open.json", b"[]")
    third = backed_up(client, place)
    assert (third.number, third.new, third.copied, third.objects) == (2, True, 1, first.objects + 1)
    early, late = MemoryClient(), MemoryClient()
    restored(early, place, 1)
    restored(late, place)
    assert set(late.objects) - set(early.objects) == {"bikes/alerts/open.json"}


def test_a_storage_that_has_something_else_is_refused_and_left_alone(
    client: MemoryClient, tmp_path: Path
) -> None:
    place = Folder(tmp_path)
    backed_up(client, place)
    for key, body in (("bikes/receipts/2011-01-01.json", b"{}"), ("bikes/champion.json", b"{}")):
        store = MemoryClient()
        storage_of(store).stage(key, body)
        with pytest.raises(ConflictError, match=rf"{key} is not that of backup 1: .* evergreen forget bikes"):
            restored(store, place)
        assert list(store.objects) == [key]
    assert restored(client_of_same := MemoryClient(), place).written > 0
    assert restored(client_of_same, place).written == 0


@pytest.mark.parametrize("damage", ["bit", "gone"])
def test_damaged_content_is_never_written(client: MemoryClient, tmp_path: Path, damage: str) -> None:
    place = Folder(tmp_path)
    backed_up(client, place)
    entry = next(one for one in chosen(place, "bikes", None).entries if one.key.endswith("model.skops"))
    file = tmp_path / entry.at
    file.unlink() if damage == "gone" else file.write_bytes(b"Model")
    store = MemoryClient()
    said = "is gone" if damage == "gone" else "is damaged"
    with pytest.raises(IntegrityError, match=rf"bikes: .*{entry.sha256}, which is models/.* {said}: take"):
        restored(store, place)
    assert not any("model.skops" in key or "history" in key for key in store.objects)
