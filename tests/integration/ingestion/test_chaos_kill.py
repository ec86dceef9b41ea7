"""Ingest is killed in every phase and at random moments, and tried again until it succeeds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Literal

import pytest

from evergreen.connections import Connection
from evergreen.storage import Storage
from tests.campaign import rounds, seed
from tests.faults.forks import Ended, Forks, Job
from tests.faults.ingest import PATHS, phase_of
from tests.faults.ingest import Path as IngestPath
from tests.faults.killer import Killer
from tests.faults.meters import DAYS, create, load
from tests.faults.s3_proxy import Call, S3Proxy
from tests.faults.watch import Watcher, check_history, check_nothing_lost, check_published, unfinished_uploads

After = Literal["go on", "clear", "new run"]
SEED = seed(20240101)
KILLS = rounds(0, 200)  # at random, after one in each phase
A_STORE = 10  # kills in one store, then a new one: first commits are killed too
PUBLISHING = ("reading", "staging", "upload", "commit")
AROUND = ("reading staging", "looking at the lake", "clearing")
STEPS = {"task": 4, "shell": 1}
AFTER: tuple[After, After, After] = ("go on", "clear", "new run")


@dataclass(frozen=True)
class Kill:
    """Where a run is killed, and what is done then.

    It dies `seconds` after it has begun, or at the call `number` of a phase (from 0) to the S3 server. A
    DAG's run goes on with the task that died; or somebody clears it from its first task, or starts another
    run instead. A shell's command is given again.
    """

    phase: str = ""
    number: int = 0
    seconds: float | None = None
    after: After = "go on"


@pytest.fixture
def source(postgres_server: Connection) -> Connection:
    """The pipeline's database, without rows."""
    create(postgres_server)
    return postgres_server


@pytest.fixture
def proxy(storage: Storage, s3_server: str) -> Iterator[S3Proxy]:
    """Sees all calls of ingest to the S3 server, and breaks none."""
    with S3Proxy(s3_server) as running:
        yield running


class _Killings:
    """One run after the other of new rows, each killed some times on its way."""

    def __init__(self, forks: Forks, proxy: S3Proxy, source: Connection) -> None:
        self.forks, self.proxy, self.source = forks, proxy, source
        self.draw = random.Random(SEED)
        self.phases: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.generation = 0
        self.problems: list[str] = []
        self.seconds: dict[IngestPath, float] = {}
        self.calls: dict[IngestPath, Counter[str]] = {}

    @property
    def killed(self) -> int:
        return sum(self.phases.values())

    def measure(self, store: Storage) -> None:
        """How long a whole run is, in seconds and in calls; the second run of each path counts."""
        for path in (*PATHS, *PATHS):
            before = len(self.proxy.calls)
            (ended,) = self.run(store, path, [])
            self.seconds[path] = ended.ended - ended.opened
            self.calls[path] = Counter(phase_of(call) for call in self.proxy.calls[before:])

    def each_once(self) -> Iterator[tuple[IngestPath, list[Kill]]]:
        """Runs that are killed in each phase of either path, at each commit, and with each end of the story.

        A run whose second attempt begins anew is killed in that one too.
        """
        afters, again = cycle(AFTER), cycle((1, 2))
        for path in PATHS:
            places = [Kill(seconds=0.0)]
            places += [Kill(phase) for phase in self.calls[path] if phase != "commit"]
            for after in AFTER if path == "task" else AFTER[:1]:
                places += [
                    Kill("commit", number, after=after) for number in range(self.calls[path]["commit"])
                ]
            for kill in places:
                first = kill if kill.phase == "commit" else replace(kill, after=next(afters))
                anew = path == "shell" or first.after != "go on"
                second = Kill("looking at the lake")
                yield path, [first, second][: next(again) if anew else 1]

    def at_random(self, most: int) -> tuple[IngestPath, list[Kill]]:
        """A run with up to `most` kills before it may succeed."""
        path = self.draw.choice(PATHS)
        return path, [self._drawn(path) for _ in range(min(most, self.draw.randint(1, 4)))]

    def run(self, store: Storage, path: IngestPath, kills: Sequence[Kill]) -> list[Ended]:
        """One run of a new generation, killed as told, and then let succeed."""
        self.generation += 1
        load(self.source, self.generation)
        done, ended, run = 0, [], f"run-{self.generation}"
        for killed, kill in enumerate((*kills, None), 1):
            multipart = self.draw.random() < 0.3
            job = Job(store.prefix, DAYS, run, path, done, multipart)
            calls = len(self.proxy.calls)
            one = self._attempt(job, kill)
            if one.error:
                self.problems.append(one.problem or f"{path} {kill} after {done} steps: {one.error['text']}")
                done = 0
                one = self.forks.run(Job(store.prefix, DAYS, run, path))
            ended.append(one)
            if one.finished or kill is None:
                break
            self.problems += check_nothing_lost(store)
            self.phases[_last_phase(self.proxy.calls[calls:], one)] += 1
            self.counts["killed again"] += killed > 1
            self.counts[path] += 1
            self.counts[f"{path} at {kill}"] += 1
            done = done + len(one.steps) if path == "task" and kill.after == "go on" else 0
            if kill.after == "new run":
                self.counts["runs given up"] += path == "task"
                run = f"run-{self.generation}-{killed}"
        self.counts["good runs"] += 1
        self.problems += check_published(store, self.generation)
        return ended

    def _drawn(self, path: IngestPath) -> Kill:
        after = self.draw.choices(AFTER, (6, 2, 1))[0]
        if self.draw.random() < 0.5:
            return Kill(seconds=self.draw.uniform(0, self.seconds[path]), after=after)
        phase = self.draw.choice(sorted(self.calls[path]))
        return Kill(phase, self.draw.randrange(self.calls[path][phase]), after=after)

    def _attempt(self, job: Job, kill: Kill | None) -> Ended:
        if kill is None:
            return self.forks.run(job)
        if kill.seconds is not None:
            left = 1 - job.done / STEPS[job.path]
            return self.forks.run(job, kill_after=kill.seconds * left)
        killer = Killer(phase_of, kill.phase, kill.number)
        self.proxy.watch = killer.look
        try:
            return self.forks.run(job, opened=killer.arm)
        finally:
            self.proxy.watch = None


def _last_phase(calls: list[Call], ended: Ended) -> str:
    """What the attempt was at when it died: told by the last call that the S3 server saw of it."""
    last = next((call for call in reversed(calls) if call.at <= ended.ended), None)
    return phase_of(last) if last else "reading"


@pytest.mark.timeout(rounds(300, 3600))
def test_ingest_is_killed_in_every_phase(proxy, source, storage, tmp_path, tell):
    with Watcher() as watcher, Forks(proxy.address, storage.bucket, source, tmp_path) as forks:
        killings = _Killings(forks, proxy, source)
        killings.measure(storage.child("measured"))
        figures: Counter[str] = Counter()
        planned = list(killings.each_once())
        wanted = Counter(f"{path} at {kill}" for path, kills in planned for kill in kills)
        number = 0
        while planned or killings.killed < KILLS:
            store = storage.child(f"store-{number}")
            watcher.follow(store)
            until = killings.killed + A_STORE
            while killings.killed < until and (planned or killings.killed < KILLS):
                killings.run(
                    store, *(planned.pop(0) if planned else killings.at_random(until - killings.killed))
                )
                watcher.look()
            found = check_history(store)
            killings.problems += found.problems
            figures.update(versions=found.versions, states=found.states, orphans=found.orphans)
            number += 1
        uploads = unfinished_uploads(storage)
        left = forks.left()
    phases, counts = dict(killings.phases.most_common()), killings.counts
    short = {name: number for name, number in counts.items() if " at " not in name}
    tell(
        f"killed {killings.killed} ({phases}; {short}); reader: {watcher.polls} polls, "
        f"{len(watcher.states)} states, {len(watcher.violations)} wrong; logs: {dict(figures)}; "
        f"unfinished uploads {len(uploads)}, temporary files left {len(left)}"
    )
    assert killings.problems == []
    assert watcher.violations == []
    assert left == []
    assert wanted - counts == Counter()
    assert set(phases) == {*PUBLISHING, *AROUND}
    assert killings.killed >= max(wanted.total(), KILLS)
    assert min(phases[phase] for phase in PUBLISHING) >= rounds(1, 10)
    assert min(counts[path] for path in PATHS) >= rounds(8, 50)
    assert min(counts["killed again"], counts["runs given up"]) >= rounds(3, 10)
    # The reader saw every generation of its stores whole: of three days, their rows and those in quarantine.
    assert len(watcher.states) >= 6 * (counts["good runs"] - 2 * len(PATHS))
