"""A writer of the registry dies at each of its calls in turn, on a store in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evergreen.registry.registry import Registry
from evergreen.storage import Credentials, Storage
from tests.faults.memory_client import MemoryClient

OLD, NEW = "2011-04-01-aaaa", "2011-05-01-bbbb"
FILES = {"model.skops": b"model", "metrics.json": b"{}", "card.html": b"<html>"}


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


@pytest.fixture
def store() -> MemoryClient:
    """An empty store."""
    return MemoryClient()


def registry_of(client: Any) -> Registry:
    storage = Storage("bucket", "bikes", Credentials())
    storage._client = client
    return Registry(storage, "bikes")


def killed_at(store: MemoryClient, at: int, made: bool, work: Callable[[Registry], object]) -> bool:
    """Whether the work was killed; False when it needs fewer calls than that."""
    try:
        work(registry_of(Dying(store, at, made)))
    except Killed:
        return True
    return False


@pytest.mark.parametrize("made", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_commit_that_is_killed_leaves_a_whole_version_or_none(
    store: MemoryClient, at: int, made: bool
) -> None:
    def commit(registry: Registry) -> None:
        registry.commit(NEW, FILES)

    killed_at(store, at, made, commit)
    found = registry_of(store)
    if found.has(NEW):
        assert {name: found.read(NEW, name) for name in FILES} == FILES
    assert found.verify() == []
    # Training again gives other bytes of the same model: the version must be whole nevertheless.
    registry_of(store).commit(NEW, {name: body + b" again" for name, body in FILES.items()})
    assert registry_of(store).versions() == [NEW]
    assert registry_of(store).verify() == []


@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
@pytest.mark.parametrize("made", [False, True], ids=["before", "after"])
def test_a_promotion_that_is_killed_leaves_the_old_or_the_new_champion(made: bool, first: bool) -> None:
    deaths = 0
    for at in range(1, 40):
        store = MemoryClient()
        registry = registry_of(store)
        registry.commit(NEW, FILES)
        if not first:
            registry.commit(OLD, FILES)
            registry.promote(OLD, OLD[:10], {})
        old = registry.champion()
        died = killed_at(store, at, made, lambda registry: registry.promote(NEW, NEW[:10], {}))
        deaths += died
        assert registry_of(store).champion() in (old, NEW)
        event = registry_of(store).promote(NEW, NEW[:10], {})
        assert (event.version, event.seq, event.replaces) == (NEW, 1 if first else 2, old)
        assert registry_of(store).champion() == NEW
        assert registry_of(store).verify() == []
        assert len(registry_of(store).history()) == event.seq
        if not died:
            break
    assert deaths >= (15 if first else 7)


@pytest.mark.parametrize("made", [False, True], ids=["before", "after"])
def test_a_rollback_to_a_version_that_is_killed_can_be_run_again(made: bool) -> None:
    deaths = 0
    for at in range(1, 40):
        store = MemoryClient()
        registry = registry_of(store)
        for version in (OLD, NEW):
            registry.commit(version, FILES)
            registry.promote(version, version[:10], {})
        died = killed_at(store, at, made, lambda registry: registry.rollback(OLD))
        deaths += died
        assert registry_of(store).champion() in (OLD, NEW)
        assert registry_of(store).rollback(OLD).seq == 3
        assert registry_of(store).champion() == OLD
        assert registry_of(store).verify() == []
        if not died:
            break
    assert deaths >= 7
