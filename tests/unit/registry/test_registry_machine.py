"""Whatever is done to a registry, in whatever order and wherever it dies, it is what a plain model says.

The model knows lists and no storage: what was committed, the events, and who is in force.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from evergreen.errors import EvergreenError
from evergreen.registry import registry as module
from evergreen.registry.history import Canary, challenger
from evergreen.registry.registry import Registry
from evergreen.storage import Credentials, Storage
from tests.campaign import rounds
from tests.faults.memory_client import MemoryClient

DAYS = ("2011-04-01", "2011-05-01")
NAMES = [f"{day}-{letter}" for day in DAYS for letter in "ab"]
RETENTION = timedelta(days=30)
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
EXAMPLES, STEPS = rounds(40, 1000), 50


class Killed(BaseException):
    """The end of a writer: no code of its own runs after it but `finally`."""


class Dying:
    """An S3 client whose writer dies at its n-th write: before it is made, or after."""

    def __init__(self, client: Any, at: int, made: bool) -> None:
        self._client, self._left, self._made = client, at, made

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name not in ("put_object", "delete_objects"):
            return call

        def counted(*arguments: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left < 0 or (self._left == 0 and not self._made):
                raise Killed
            answer = call(*arguments, **named)
            if self._left == 0:
                raise Killed
            return answer

        return counted


@dataclass
class Model:
    """What a registry should hold."""

    files: dict[str, bytes] = field(default_factory=dict)  # of committed versions
    written: dict[str, datetime] = field(default_factory=dict)  # when they were committed
    begun: dict[str, bytes] = field(default_factory=dict)  # what stayed of a commit that died
    events: list[tuple[str, str, str | None]] = field(default_factory=list)  # kind, version, replaces
    reigns: list[tuple[str, str]] = field(default_factory=list)  # from which partition on, by order of events
    named: dict[str, datetime] = field(default_factory=dict)  # when an event last named a version
    removed: set[str] = field(default_factory=set)
    canary: tuple[str, float] | None = None

    def champion(self, day: str = "9999") -> str | None:
        # Of the reigns that have begun the latest, and of those the one that was told last.
        fitting = [(start, n) for n, (start, _) in enumerate(self.reigns) if start <= day]
        return self.reigns[max(fitting)[1]][1] if fitting else None

    def holds(self, version: str) -> bool:
        return version in [held for _, held in self.reigns]

    def note(self, kind: str, version: str, replaces: str | None, at: datetime) -> None:
        self.events.append((kind, version, replaces))
        if kind in ("promoted", "rolled_back") or (kind == "refused" and self.is_canary(version)):
            self.canary = None
        if kind == "removed":
            self.removed.add(version)
            return
        for name in (version, replaces):
            if name:
                self.named[name] = at

    def is_canary(self, version: str) -> bool:
        return self.canary is not None and self.canary[0] == version

    def one_back(self) -> str | None:
        order = sorted(enumerate(self.reigns), key=lambda entry: (entry[1][0], entry[0]))
        others = [version for _, (_, version) in order if version != self.champion()]
        return others[-1] if others else None

    def withdraw(self, to: str, at: datetime) -> None:
        champion = self.champion()
        start = max(day for day, _ in self.reigns)
        self.reigns = [(day, version) for day, version in self.reigns if version != champion]
        self.reigns.append((start, to))
        self.note("rolled_back", to, champion, at)

    def was_promoted(self, version: str) -> bool:
        return any(kind == "promoted" and name == version for kind, name, _ in self.events)

    def old(self, moment: datetime | None) -> set[str]:
        moment = moment or max(self.named.values(), default=None)
        if moment is None:
            return set()
        limit = moment - RETENTION
        return {
            version
            for version in self.files
            if not self.holds(version)
            and not self.is_canary(version)
            and (version in self.removed or self.named.get(version, self.written[version]) < limit)
        }


class RegistryMachine(RuleBasedStateMachine):
    """Commits, promotions, refusals, rollbacks, canaries, cleanings; some die between two writes."""

    storage = Storage("machine", "", Credentials())

    def __init__(self) -> None:
        super().__init__()
        self.model, self.now, self.number = Model(), BEGAN, 0
        self.store = self.storage.child("")
        self.store._client = MemoryClient(lambda: self.now)

    def registry(self, dies: tuple[int, bool] | None = None) -> Registry:
        store = self.store.child("")
        if dies:
            store._client = Dying(store._client, *dies)
        return Registry(store, "bikes")

    def told(self, work: Callable[[Registry], object], dies: tuple[int, bool] | None = None) -> str:
        """How the work ended: done, killed, or the kind of error, which is one line."""
        clock = mock.Mock(wraps=datetime)
        clock.now.return_value = self.now
        with mock.patch.object(module, "datetime", clock):
            try:
                work(self.registry(dies))
            except Killed:
                return "killed"
            except EvergreenError as error:
                return type(error).__name__ if "\n" not in str(error) else str(error)
        return "done"

    def happened(self) -> bool:
        """Whether the history is an event longer than the model's."""
        return len(self.registry().history()) > len(self.model.events)

    deaths = st.none() | st.tuples(st.integers(1, 5), st.booleans())

    @rule(days=st.sampled_from([1, 20, 40]))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)

    @rule(version=st.sampled_from(NAMES), dies=deaths)
    def commit(self, version: str, dies: tuple[int, bool] | None) -> None:
        self.number += 1
        body = f"{version} {self.number}".encode()
        ended = self.told(lambda r: r.commit(version, {"model.skops": body, "metrics.json": b"{}"}), dies)
        registry = self.registry()
        if version in self.model.files:
            assert ended == "done"
        elif registry.has(version):
            self.model.files[version] = self.model.begun.pop(version, body)
            self.model.written[version] = self.now
        else:
            assert ended == "killed"
            if f"models/{version}/model.skops" in self.store.list("models/"):
                self.model.begun.setdefault(version, body)

    @rule(version=st.sampled_from(NAMES), dies=deaths, over=st.sampled_from(["any", "now", *NAMES]))
    def promote(self, version: str, dies: tuple[int, bool] | None, over: str) -> None:
        day, model = version[:10], self.model
        champion = model.champion(day)
        condition = {"any": {}, "now": {"over": champion}}.get(over, {"over": over})
        ended = self.told(lambda r: r.promote(version, day, {}, **condition), dies)
        if version not in model.files:
            assert ended == "NotFoundError"
        elif model.holds(version):
            assert ended in ("done", "killed")
        elif version in model.removed:
            assert ended == "NotFoundError"
        elif condition.get("over", champion) != champion:
            assert ended == "ConflictError"
        elif ended == "done" or self.happened():
            model.note("promoted", version, champion, self.now)
            model.reigns.append((day, version))
        else:
            assert ended == "killed"

    @rule(version=st.sampled_from(NAMES), dies=deaths)
    def refuse(self, version: str, dies: tuple[int, bool] | None) -> None:
        model = self.model
        ended = self.told(lambda r: r.refuse(version, version[:10], {}), dies)
        if version not in model.files:
            assert ended == "NotFoundError"
        elif self.happened():
            model.note("refused", version, model.champion(version[:10]), self.now)
        else:
            said = [
                kind
                for kind, name, replaces in model.events
                if kind not in ("removed", "canary")
                and (name == version or (kind == "rolled_back" and replaces == version))
            ]
            assert ended == "killed" or said[-1:] == ["refused"]

    @rule(version=st.sampled_from(NAMES), share=st.sampled_from([0.0, 0.05, 1.0]), dies=deaths)
    def canary(self, version: str, share: float, dies: tuple[int, bool] | None) -> None:
        model, before = self.model, self.model.canary
        was_canary = ("canary", version) in [(kind, name) for kind, name, _ in model.events]
        ended = self.told(lambda r: r.canary(version, share, {}), dies)
        if share and version not in model.files:
            assert ended == "NotFoundError"
        elif before == (version, share) or (not share and was_canary and not model.is_canary(version)):
            assert ended in ("done", "killed")
        elif not (share or model.is_canary(version)) or version in model.removed or not model.champion():
            assert ended == "NotFoundError"
        elif model.champion() == version:
            assert ended == "ConflictError"
        elif ended == "done" or self.happened():
            replaces = before[0] if before and before[0] != version else None
            model.note("canary", version, replaces, self.now)
            model.canary = (version, share) if share else None
        else:
            assert ended == "killed"

    @rule(to=st.none() | st.sampled_from(NAMES), dies=deaths)
    def rollback(self, to: str | None, dies: tuple[int, bool] | None) -> None:
        model = self.model
        target = to or model.one_back()
        ended = self.told(lambda r: r.rollback(to), dies)
        if model.champion() is None or target is None:
            assert ended == "NotFoundError"
        elif to and model.champion() == to:
            assert ended in ("done", "killed")
        elif target in model.removed or target not in model.files or not model.was_promoted(target):
            assert ended == "NotFoundError"
        elif ended == "done" or self.happened():
            model.withdraw(target, self.now)
        else:
            assert ended == "killed"

    @rule(dies=deaths, days=st.sampled_from([0, 20, 40]))
    def clean(self, dies: tuple[int, bool] | None, days: int) -> None:
        self.now += timedelta(days=days)
        moment = self.now if days else None
        model, old = self.model, self.model.old(moment)
        assert set(self.registry().clean(RETENTION, moment, dry_run=True).versions) == old
        ended = self.told(lambda r: r.clean(RETENTION, moment), dies)
        events = self.registry().history()[len(model.events) :]
        for event in events:
            assert (event.kind, event.replaces) == ("removed", None)
            assert event.version in old
            model.note("removed", event.version, None, self.now)
        present = set(self.registry().versions())
        assert set(model.files) - present <= model.removed
        model.files = {version: body for version, body in model.files.items() if version in present}
        for version in [name for name in model.begun if not self.store.list(f"models/{name}/model.skops")]:
            del model.begun[version]
        if ended == "done":
            assert set(model.files) & old == set()
            again = self.registry().clean(RETENTION, moment)
            assert (again.versions, again.leftovers) == ((), ())
        else:
            assert ended == "killed"
            for version in model.removed - present:
                # Of what was half deleted a later commit takes in what there is.
                self.store.delete_all(f"models/{version}/")

    @invariant()
    def the_champions_are_those_of_the_model(self) -> None:
        registry, model = self.registry(), self.model
        force = registry.force()
        for day in ("2011-03-31", *DAYS, "2012-01-01"):
            assert force.champion(day) == model.champion(day)
        assert force.canary == (model.canary and Canary(*model.canary))
        assert [(e.kind, e.version, e.replaces) for e in registry.history()] == model.events
        assert [event.seq for event in registry.history()] == list(range(1, len(model.events) + 1))

    @invariant()
    def fewer_versions_are_in_the_order_of_all(self) -> None:
        registry, model = self.registry(), self.model
        versions, events = registry.versions(), registry.history()
        for day in ("2011-03-31", *DAYS, "2012-01-01"):
            assert registry.versions(since=day) == [version for version in versions if version[:10] >= day]
        decided = {version for kind, version, _ in model.events if kind != "canary"}
        assert registry.undecided(events) == [version for version in versions if version not in decided]
        assert registry.challenger() == challenger(versions, events)

    @invariant()
    def what_is_committed_is_whole(self) -> None:
        registry, model = self.registry(), self.model
        assert set(registry.versions()) == set(model.files)
        for version in {held for _, held in model.reigns}:
            assert registry.read(version, "model.skops") == model.files[version]
        # A pointer that lags is told, and is no damage.
        assert all("it is read right" in problem for problem in registry.verify())


def test_the_store_of_these_tests_honours_conditions():
    storage = Storage("machine", "", Credentials())
    storage._client = MemoryClient()
    storage.probe()
    assert storage.list("") == []


def test_the_registry_is_what_the_model_says(tell):
    run_state_machine_as_test(
        RegistryMachine, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS)
    )
    tell(f"{EXAMPLES} examples of up to {STEPS} steps")
