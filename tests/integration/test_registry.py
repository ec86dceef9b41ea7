from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from evergreen.registry.history import Kind
from evergreen.registry.registry import Registry
from evergreen.storage import Storage

OLD, NEW = "2011-04-01-aaaa", "2011-05-01-bbbb"
FILES = {"model.skops": b"model", "metrics.json": b"{}", "card.html": b"<html>"}

WRITER = """
import sys
from evergreen.registry.registry import Registry
from evergreen.storage import Storage

registry = Registry(Storage.open().child("bikes"), "bikes")
print("ready", flush=True)
sys.stdin.readline()
for version in sys.argv[1:]:
    registry.commit(version, {"model.skops": b"model"})
    registry.promote(version, version[:10], {})
"""


class Killed(BaseException):
    """The end of a writer: no code of its own runs after it but `finally`."""


class Dying:
    """An S3 client whose writer dies at its n-th call: before the call is made, or after."""

    def __init__(self, client: Any, at: int, made: bool) -> None:
        self._client, self._at, self._made, self.calls = client, at, made, 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls > self._at or (self.calls == self._at and not self._made):
                raise Killed
            answer = call(*arguments, **named)
            if self.calls == self._at:
                raise Killed
            return answer

        return counted


def registry_of(storage: Storage) -> Registry:
    return Registry(storage.child("bikes"), "bikes")


def killed_at(storage: Storage, at: int, made: bool, work: Callable[[Registry], object]) -> bool:
    """Whether the work was killed; False when it needs fewer calls than that."""
    child = storage.child("bikes")
    child._client = Dying(child._client, at, made)
    try:
        work(Registry(child, "bikes"))
    except Killed:
        return True
    return False


@pytest.mark.parametrize("made", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_commit_that_is_killed_leaves_a_whole_version_or_none(storage: Storage, at: int, made: bool):
    def commit(registry: Registry) -> None:
        registry.commit(NEW, FILES)

    killed_at(storage, at, made, commit)
    found = registry_of(storage)
    if found.has(NEW):
        assert {name: found.read(NEW, name) for name in FILES} == FILES
    assert found.verify() == []
    # Training again gives other bytes of the same model: the version must be whole nevertheless.
    registry_of(storage).commit(NEW, {name: body + b" again" for name, body in FILES.items()})
    assert registry_of(storage).versions() == [NEW]
    assert registry_of(storage).verify() == []


@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
@pytest.mark.parametrize("made", [False, True], ids=["before", "after"])
def test_a_promotion_that_is_killed_leaves_the_old_or_the_new_champion(
    new_storage: Callable[[], Storage], made: bool, first: bool
):
    deaths = 0
    for at in range(1, 40):
        storage = new_storage()
        registry = registry_of(storage)
        registry.commit(NEW, FILES)
        if not first:
            registry.commit(OLD, FILES)
            registry.promote(OLD, OLD[:10], {})
        old = registry.champion()
        died = killed_at(storage, at, made, lambda registry: registry.promote(NEW, NEW[:10], {}))
        deaths += died
        assert registry_of(storage).champion() in (old, NEW)
        event = registry_of(storage).promote(NEW, NEW[:10], {})
        assert (event.version, event.seq, event.replaces) == (NEW, 1 if first else 2, old)
        assert registry_of(storage).champion() == NEW
        assert registry_of(storage).verify() == []
        assert len(registry_of(storage).history()) == event.seq
        if not died:
            break
    assert deaths >= (15 if first else 7)


@pytest.mark.parametrize("made", [False, True], ids=["before", "after"])
def test_a_rollback_to_a_version_that_is_killed_can_be_run_again(
    new_storage: Callable[[], Storage], made: bool
):
    deaths = 0
    for at in range(1, 40):
        storage = new_storage()
        registry = registry_of(storage)
        for version in (OLD, NEW):
            registry.commit(version, FILES)
            registry.promote(version, version[:10], {})
        died = killed_at(storage, at, made, lambda registry: registry.rollback(OLD))
        deaths += died
        assert registry_of(storage).champion() in (OLD, NEW)
        assert registry_of(storage).rollback(OLD).seq == 3
        assert registry_of(storage).champion() == OLD
        assert registry_of(storage).verify() == []
        if not died:
            break
    assert deaths >= 7


def test_promotions_of_several_processes_leave_no_gap_and_lose_none(storage: Storage):
    versions = [[f"2011-{month:02d}-{day:02d}-v" for day in range(1, 7)] for month in range(1, 5)]
    write_at_once(storage, versions)
    registry = registry_of(storage)
    events = registry.history()
    assert [event.seq for event in events] == list(range(1, 25))
    assert sorted(event.version for event in events) == sorted(
        version for mine in versions for version in mine
    )
    assert json.loads(storage.read("bikes/champion.json").body)["seq"] == 24
    assert registry.champion() == "2011-04-06-v"
    assert registry.verify() == []


def test_one_version_from_several_processes_is_promoted_once(storage: Storage):
    write_at_once(storage, [[NEW]] * 4)
    (event,) = registry_of(storage).history()
    assert (event.kind, event.version) == (Kind.PROMOTED, NEW)
    assert registry_of(storage).verify() == []


def write_at_once(storage: Storage, versions: list[list[str]]) -> None:
    environment = {
        **os.environ,
        "EVERGREEN_STORAGE": storage.uri(),
        "AWS_ENDPOINT_URL": storage.credentials.endpoint_url or "",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    command = [sys.executable, "-c", WRITER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*command, *mine], env=environment, **pipes) for mine in versions]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n", writer.stderr.read()
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, complaint = writer.communicate(timeout=120)
        assert writer.returncode == 0, complaint
