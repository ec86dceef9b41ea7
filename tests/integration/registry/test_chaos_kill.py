"""Releasing, rolling back and cleaning up are killed at random moments, and tried again."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from evergreen.storage import Storage
from tests.faults.forks import Ended
from tests.faults.releases import (
    PIPELINE,
    ReleaseForks,
    ReleaseJob,
    Work,
    check_history,
    check_pointer,
    new_key,
    registry_of,
)
from tests.faults.s3_proxy import Call, S3Proxy

SEED = 20240201
KILLS = 300
A_STORE = 25  # kills in one store, then a new one: first promotions are killed too
WRITES = ("upload", "signature", "manifest", "history", "pointer")


@pytest.fixture
def proxy(s3_store: Storage, s3_server: str) -> Iterator[S3Proxy]:
    """Sees all calls of the killed to the S3 server, and breaks none."""
    with S3Proxy(s3_server) as running:
        yield running


class _Killings:
    """One piece of work after the other in a store, each killed some times on its way."""

    def __init__(self, forks: ReleaseForks, proxy: S3Proxy, key: str) -> None:
        self.forks, self.proxy, self.key = forks, proxy, key
        self.draw = random.Random(SEED)
        self.phases: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self.released = 0
        self.seconds = 0.0
        self.calls: Counter[str] = Counter()

    def measure(self, store: Storage) -> None:
        """How long a release is, in seconds and in calls; the second one counts."""
        for _ in range(2):
            before = len(self.proxy.calls)
            ended = self.forks.run(self._job(store, "release"))
            assert ended.well, ended.error
            self.seconds = ended.ended - ended.opened
            self.calls = Counter(_phase(call) for call in self.proxy.calls[before:])

    def work(self, store: Storage, most: int) -> None:
        """One piece of work with up to `most` kills before it may succeed."""
        in_force = len({version for _, version in registry_of(store, self.key).force().stack})
        others: list[Work] = ["rollback", "clean"] if in_force > 1 else []
        work: Work = self.draw.choice(["release"] * 4 + others)
        job = self._job(store, work)
        for attempt in range(min(most, self.draw.randint(1, 4))):
            before = len(self.proxy.calls)
            ended = self._attempt(_again(job, attempt))
            self._note(ended, work)
            if ended.finished:
                break
            self.phases[_last_phase(self.proxy.calls[before:], ended)] += 1
            self.problems += check_pointer(store, self.key)
            if work == "rollback":  # once more is a version further back
                return
        else:
            self._note(self.forks.run(_again(job, 9)), work)
            self.problems += check_pointer(store, self.key)

    def _note(self, ended: Ended, work: Work) -> None:
        self.counts[f"{work} {'killed' if not ended.finished else 'done'}"] += 1
        if ended.error:
            self.problems.append(ended.problem or f"{work}: {ended.error['text']}")

    def _job(self, store: Storage, work: Work) -> ReleaseJob:
        self.released += work == "release"
        day = self.released
        return ReleaseJob(store.prefix, work, f"2024-{1 + day // 28:02d}-{1 + day % 28:02d}-v{day}")

    def _attempt(self, job: ReleaseJob) -> Ended:
        if self.draw.random() < 0.5:
            return self.forks.run(job, kill_after=self.draw.uniform(0, self.seconds))
        phase = self.draw.choice(WRITES)
        killer = _Killer(phase, self.draw.randrange(self.calls[phase]))
        self.proxy.watch = killer.look
        try:
            return self.forks.run(job, opened=killer.arm)
        finally:
            self.proxy.watch = None


class _Killer:
    """Kills an attempt when it makes the call `number` of a phase (from 0) to the S3 server."""

    def __init__(self, phase: str, number: int) -> None:
        self._phase, self._left = phase, number
        self._armed = threading.Event()

    def arm(self, kill: Callable[[], None]) -> None:
        self._kill = kill
        self._armed.set()

    def look(self, call: Call) -> None:
        self._armed.wait(10)
        if _phase(call) == self._phase:
            if self._left == 0:
                self._kill()
            self._left -= 1


def _again(job: ReleaseJob, attempt: int) -> ReleaseJob:
    return ReleaseJob(job.prefix, job.work, job.version, attempt)


def _last_phase(calls: list[Call], ended: Ended) -> str:
    """What the attempt was at when it died: told by the last call that the S3 server saw of it."""
    last = next((call for call in reversed(calls) if call.at <= ended.ended), None)
    return _phase(last) if last else "before the first call"


def _phase(call: Call) -> str:
    if call.method == "PUT" and f"/{PIPELINE}/" in call.key:
        ends = {"model.sig": "signature", "manifest.json": "manifest", "champion.json": "pointer"}
        if "/history/" in call.key:
            return "history"
        return ends.get(call.key.rpartition("/")[2], "probe" if "/.probe/" in call.key else "upload")
    return "deleting" if "delete" in call.query else "looking"


@pytest.mark.timeout(600)
def test_a_registry_is_killed_at_300_random_moments(proxy, s3_store, tmp_path):
    key = new_key()
    with ReleaseForks(proxy.address, s3_store.bucket, key, tmp_path) as forks:
        killings = _Killings(forks, proxy, key)
        killings.measure(s3_store.child("measured"))
        events = stores = 0
        while (killed := sum(killings.phases.values())) < KILLS:
            store, until = s3_store.child(f"store-{stores}"), min(KILLS, killed + A_STORE)
            while (killed := sum(killings.phases.values())) < until:
                killings.work(store, until - killed)
            # A killed rollback is nobody's to repeat; any writer moves the pointer on.
            registry = registry_of(store, key)
            registry.promote(registry.force().stack[0][1], "", {})
            killings.problems += check_history(store, key)
            events += len(registry.history())
            stores += 1
    phases = dict(killings.phases.most_common())
    print(
        f"killed {sum(phases.values())} (at {phases}; {dict(killings.counts)}) in {stores} stores; "
        f"{events} events, {len(killings.problems)} problems"
    )
    assert killings.problems == []
    assert forks.left() == []
    assert sum(phases.values()) >= KILLS
    assert min(phases.get(phase, 0) for phase in WRITES) >= 5
    assert min(killings.counts[f"{work} killed"] for work in ("release", "rollback", "clean")) >= 3
    assert killings.counts["release done"] >= KILLS // 10
