"""Releasing, rolling back and cleaning up are killed in every phase, and tried again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from evergreen.storage import Storage
from tests.campaign import rounds, seed
from tests.faults.forks import Ended
from tests.faults.killer import Killer
from tests.faults.releases import (
    ReleaseForks,
    ReleaseJob,
    Work,
    check_history,
    check_pointer,
    new_key,
    phase_of,
    registry_of,
)
from tests.faults.s3_proxy import Call, S3Proxy

SEED = seed(20240201)
KILLS = rounds(0, 300)  # at random, after one in each phase of each work
A_STORE = 25  # kills in one store, then a new one: first promotions are killed too
WRITES = ("upload", "signature", "manifest", "history", "pointer")
# The works and where each is killed: releases into empty stores, and what is done in one store.
FIRST: list[list[tuple[Work, str]]] = [[("release", phase)] for phase in ("probe", *WRITES)]
LATER: list[tuple[Work, str]] = [
    *(("release", phase) for phase in WRITES),
    ("rollback", "history"),
    ("rollback", "pointer"),
    ("clean", "history"),
    ("clean", "pointer"),
    ("clean", "deleting"),
]


@pytest.fixture
def proxy(storage: Storage, s3_server: str) -> Iterator[S3Proxy]:
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

    @property
    def killed(self) -> int:
        return sum(self.phases.values())

    def measure(self, store: Storage) -> None:
        """How long a release is, in seconds and in calls; the second one counts."""
        for _ in range(2):
            before = len(self.proxy.calls)
            ended = self._do(store, "release")
            self.seconds = ended.ended - ended.opened
            self.calls = Counter(phase_of(call) for call in self.proxy.calls[before:])

    def at(self, store: Storage, work: Work, phase: str) -> None:
        """One piece of work that is killed at its first call of a phase, and then succeeds."""
        if work != "release":
            while self._in_force(store) < 3:
                self._do(store, "release")
        if work == "clean":
            self._do(store, "rollback")  # what it withdrew can be removed
        job = self._job(store, work)
        died = self._killed_at(job, phase, 0)
        self.counts[f"{work} at {phase}"] += not died.finished
        self._settle(store, job, died)

    def at_random(self, store: Storage, most: int) -> None:
        """One piece of work with up to `most` kills before it may succeed."""
        others: list[Work] = ["rollback", "clean"] if self._in_force(store) > 1 else []
        job = self._job(store, self.draw.choice(["release"] * 4 + others))
        for attempt in range(min(most, self.draw.randint(1, 4))):
            ended = self._attempt(_again(job, attempt))
            if not self._dead(store, job, ended):
                return
        self._last(store, job)

    def _settle(self, store: Storage, job: ReleaseJob, ended: Ended) -> None:
        if self._dead(store, job, ended):
            self._last(store, job)

    def _dead(self, store: Storage, job: ReleaseJob, ended: Ended) -> bool:
        """Whether the attempt was killed and the work is to be tried again."""
        self._note(ended, job.work)
        if ended.finished:
            return False
        calls = [call for call in self.proxy.calls if call.at >= ended.opened]
        self.phases[_last_phase(calls, ended)] += 1
        self.problems += check_pointer(store, self.key)
        return job.work != "rollback"  # once more is a version further back

    def _last(self, store: Storage, job: ReleaseJob) -> None:
        self._note(self.forks.run(_again(job, 9)), job.work)
        self.problems += check_pointer(store, self.key)

    def _do(self, store: Storage, work: Work) -> Ended:
        ended = self.forks.run(self._job(store, work))
        assert ended.well, ended.error
        return ended

    def _in_force(self, store: Storage) -> int:
        return len({version for _, version in registry_of(store, self.key).force().stack})

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
        return self._killed_at(job, phase, self.draw.randrange(self.calls[phase]))

    def _killed_at(self, job: ReleaseJob, phase: str, number: int) -> Ended:
        killer = Killer(phase_of, phase, number)
        self.proxy.watch = killer.look
        try:
            return self.forks.run(job, opened=killer.arm)
        finally:
            self.proxy.watch = None


def _again(job: ReleaseJob, attempt: int) -> ReleaseJob:
    return ReleaseJob(job.prefix, job.work, job.version, attempt)


def _last_phase(calls: list[Call], ended: Ended) -> str:
    """What the attempt was at when it died: told by the last call that the S3 server saw of it."""
    last = next((call for call in reversed(calls) if call.at <= ended.ended), None)
    return phase_of(last) if last else "before the first call"


@pytest.mark.timeout(rounds(300, 3600))
def test_a_registry_is_killed_in_every_phase(proxy, storage, tmp_path, tell):
    key = new_key()
    with ReleaseForks(proxy.address, storage.bucket, key, tmp_path) as forks:
        killings = _Killings(forks, proxy, key)
        killings.measure(storage.child("measured"))
        planned = [*FIRST, LATER]
        wanted = Counter(f"{work} at {phase}" for works in planned for work, phase in works)
        events = stores = 0
        while planned or killings.killed < KILLS:
            store = storage.child(f"store-{stores}")
            if planned:
                for work, phase in planned.pop(0):
                    killings.at(store, work, phase)
            else:
                until = min(KILLS, killings.killed + A_STORE)
                while killings.killed < until:
                    killings.at_random(store, until - killings.killed)
            # A killed rollback is nobody's to repeat; any writer moves the pointer on.
            registry = registry_of(store, key)
            registry.promote(registry.force().stack[0][1], "", {})
            killings.problems += check_history(store, key)
            events += len(registry.history())
            stores += 1
    phases, counts = dict(killings.phases.most_common()), killings.counts
    short = {name: number for name, number in counts.items() if " at " not in name}
    tell(
        f"killed {killings.killed} (at {phases}; {short}) in {stores} stores; "
        f"{events} events, {len(killings.problems)} problems"
    )
    assert killings.problems == []
    assert forks.left() == []
    assert wanted - counts == Counter()
    assert killings.killed >= max(KILLS, wanted.total())
    assert min(phases[phase] for phase in WRITES) >= rounds(2, 10)
    assert min(counts[f"{work} killed"] for work in ("release", "rollback", "clean")) >= rounds(2, 5)
    assert counts["release done"] >= max(KILLS // 10, 10)
