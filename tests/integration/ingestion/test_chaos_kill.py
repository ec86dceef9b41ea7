"""Ingest is killed at random moments of its life, and tried again until it succeeds."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from evergreen.connections import Connection
from evergreen.storage import Storage
from tests.faults.forks import Ended, Forks, Job
from tests.faults.ingest import Path as IngestPath
from tests.faults.meters import DAYS, create, load
from tests.faults.s3_proxy import Call, S3Proxy
from tests.faults.watch import Watcher, check_history, check_published, unfinished_uploads

SEED = 20240101
KILLS = 200
A_STORE = 10  # kills in one store, then a new one: first commits are killed too
PATHS: tuple[IngestPath, IngestPath] = ("task", "shell")
PUBLISHING = ("reading", "staging", "upload", "commit")
AROUND = ("reading staging", "looking at the lake", "clearing")
STEPS = {"task": 4, "shell": 1}


@pytest.fixture
def source(postgres_server: Connection) -> Connection:
    """The pipeline's database, without rows."""
    create(postgres_server)
    return postgres_server


@pytest.fixture
def proxy(s3_store: Storage, s3_server: str) -> Iterator[S3Proxy]:
    """Sees all calls of ingest to the S3 server, and breaks none."""
    with S3Proxy(s3_server) as running:
        yield running


class _Killings:
    """One run after the other of new rows, each killed some times on its way."""

    def __init__(self, forks: Forks, proxy: S3Proxy, source: Connection, storage: Storage) -> None:
        self.forks, self.proxy, self.source, self.storage = forks, proxy, source, storage
        self.draw = random.Random(SEED)
        self.phases: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.generation = 0
        self.problems: list[str] = []
        self.seconds: dict[IngestPath, float] = {}
        self.calls: dict[IngestPath, Counter[str]] = {}

    def measure(self, store: Storage) -> None:
        """How long a whole run is, in seconds and in calls; the second run of each path counts."""
        for path in (*PATHS, *PATHS):
            before = len(self.proxy.calls)
            (ended,) = self._run(store, path, [None])
            self.seconds[path] = ended.ended - ended.opened
            self.calls[path] = Counter(_phase(call) for call in self.proxy.calls[before:])

    def night(self, store: Storage, most: int) -> None:
        """One run of a new generation, with up to `most` kills before it may succeed."""
        kills = self.draw.choices(("moment", "call"), k=min(most, self.draw.randint(1, 4)))
        self._run(store, self.draw.choice(PATHS), [*kills, None])

    def _run(self, store: Storage, path: IngestPath, kills: list[str | None]) -> list[Ended]:
        self.generation += 1
        load(self.source, self.generation)
        done, killed, ended, run = 0, 0, [], f"run-{self.generation}"
        for kill in kills:
            multipart = self.draw.random() < 0.3
            job = Job(store.prefix, DAYS, run, path, done, multipart)
            calls = len(self.proxy.calls)
            one = self._attempt(job, kill)
            if one.error:
                self.problems.append(one.problem or f"{path} {kill} after {done} steps: {one.error['text']}")
                done = 0
                one = self.forks.run(Job(store.prefix, DAYS, run, path))
            ended.append(one)
            if not one.finished:
                killed += 1
                self.phases[_last_phase(self.proxy.calls[calls:], one)] += 1
                self.counts["killed again"] += killed > 1
                self.counts[path] += 1
                done += len(one.steps)
                # A DAG's run goes on with the task that died; or somebody clears it from its first task, or
                # starts another run instead.
                after = self.draw.choices(("go on", "clear", "new run"), (6, 2, 1))[0]
                if path == "shell" or after != "go on":
                    done = 0
                if after == "new run":
                    self.counts["runs given up"] += path == "task"
                    run = f"run-{self.generation}-{killed}"
            else:
                break
        self.counts["good runs"] += 1
        self.problems += check_published(store, self.generation)
        return ended

    def _attempt(self, job: Job, kill: str | None) -> Ended:
        if kill is None:
            return self.forks.run(job)
        if kill == "moment":
            left = 1 - job.done / STEPS[job.path]
            return self.forks.run(job, kill_after=self.draw.uniform(0, left * self.seconds[job.path]))
        phases = set(self.calls[job.path]) - ({"staging"} if job.done == STEPS["task"] - 1 else set())
        phase = self.draw.choice(sorted(phases))
        killer = _Killer(phase, self.draw.randrange(self.calls[job.path][phase]))
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
        self._lock = threading.Lock()

    def arm(self, kill: Callable[[], None]) -> None:
        self._kill = kill
        self._armed.set()

    def look(self, call: Call) -> None:
        self._armed.wait(10)
        if _phase(call) == self._phase:
            if self._left == 0:
                self._kill()
            self._left -= 1


def _last_phase(calls: list[Call], ended: Ended) -> str:
    """What the attempt was at when it died: told by the last call that the S3 server saw of it."""
    last = next((call for call in reversed(calls) if call.at <= ended.ended), None)
    return _phase(last) if last else "reading"


def _phase(call: Call) -> str:
    if call.method == "DELETE" or "delete" in call.query:
        return "clearing"
    if "/staging/" in call.key:
        return "staging" if call.method in ("PUT", "POST") else "reading staging"
    if call.is_commit:
        return "commit"
    if call.method in ("PUT", "POST") and "/lake/" in call.key:
        return "upload"
    return "looking at the lake"


@pytest.mark.timeout(600)
def test_ingest_is_killed_at_200_random_moments(proxy, source, s3_store, tmp_path):
    with Watcher() as watcher, Forks(proxy.address, s3_store.bucket, source, tmp_path) as forks:
        killings = _Killings(forks, proxy, source, s3_store)
        killings.measure(s3_store.child("measured"))
        figures: Counter[str] = Counter()
        number = 0
        while sum(killings.phases.values()) < KILLS:
            store = s3_store.child(f"store-{number}")
            watcher.follow(store)
            until = min(KILLS, (number + 1) * A_STORE)
            while (killed := sum(killings.phases.values())) < until:
                killings.night(store, until - killed)
            found = check_history(store)
            killings.problems += found.problems
            figures.update(versions=found.versions, states=found.states, orphans=found.orphans)
            number += 1
        uploads = unfinished_uploads(s3_store)
        left = forks.left()
    phases = dict(killings.phases.most_common())
    print(
        f"killed {sum(phases.values())} ({phases}; {dict(killings.counts)}); reader: {watcher.polls} polls, "
        f"{len(watcher.states)} states, {len(watcher.violations)} wrong; logs: {dict(figures)}; "
        f"unfinished uploads {len(uploads)}, temporary files left {len(left)}"
    )
    assert killings.problems == []
    assert watcher.violations == []
    assert left == []
    assert sum(phases.values()) >= KILLS
    assert min(phases.get(phase, 0) for phase in PUBLISHING) >= 5
    assert set(phases) == {*PUBLISHING, *AROUND}
    assert min(killings.counts[path] for path in PATHS) >= KILLS // 4
    assert killings.counts["killed again"] >= KILLS // 10
    assert watcher.polls >= KILLS
    assert len(watcher.states) >= KILLS
