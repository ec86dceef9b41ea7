"""Calls to the S3 server break while ingest runs, also when the server has done what it was asked."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from evergreen.connections import Connection
from evergreen.storage import Storage
from tests.campaign import FULL, rounds, seed
from tests.faults.forks import Forks, Job
from tests.faults.ingest import PATHS, phase_of
from tests.faults.ingest import Path as IngestPath
from tests.faults.meters import DAYS, create, load
from tests.faults.s3_proxy import Fault, Faults, Plan, S3Proxy, Script
from tests.faults.watch import Watcher, check_history, check_published, unfinished_uploads

SEED = seed(20240102)
FAULTS = rounds(0, 300)  # at random, after each in each phase
BROKEN_COMMITS = rounds(0, 40)
COMMITS = 0.6  # the share of commits that break: there are few, and they are what matters
ATTEMPTS = 5  # under random fire; then one that must succeed
A_STORE = 5  # runs in one store
PHASES = ("staging", "reading staging", "looking at the lake", "upload", "commit", "clearing")
SILENT = (Fault.SILENCE, Fault.SILENCE_AFTER)
FOR_GOOD = 9  # no client tries so often


@dataclass(frozen=True)
class Night:
    """A run by one of the two paths, and what breaks in each of its attempts but the last."""

    path: IngestPath
    plans: Sequence[Faults]


def phases_of(number: int) -> tuple[str, ...]:
    """The phases that a fault meets: the commit, and two others in turn; all of them in a campaign."""
    others = [phase for phase in PHASES if phase != "commit"]
    return PHASES if FULL else ("commit", *(others[at % len(others)] for at in (2 * number, 2 * number + 1)))


def each_once() -> Iterator[Night]:
    """Every fault in phases of a DAG's run, and at the commit of a shell's, which is the same code else.

    At one commit also for as long as the client tries, by the two paths in turn.
    """
    for number, fault in enumerate(Fault):
        phases = phases_of(number)
        script = Script(fault, dict.fromkeys(phases, 1), phase_of)
        yield Night("task", [script] * len(phases))  # a fault that no client forgives ends an attempt
        once = Script(fault, {"commit": 1}, phase_of)
        for_good = Script(fault, {"commit": FOR_GOOD}, phase_of)
        # Of a silent server a shell hears sooner: a DAG's run tries on for many seconds.
        if fault in SILENT or PATHS[number % 2] == "shell":
            yield Night("shell", [for_good, once])
        else:
            yield Night("shell", [once])
            yield Night("task", [for_good])


def at_random(draw: random.Random, generation: int) -> Night:
    """A client tries a call three times, so that most nights succeed in the end: some are worse."""
    shares = [draw.choice((0.05, 0.15, 0.4)) for _ in range(ATTEMPTS)]
    plans = [Plan(SEED + 100 * generation + at, share, COMMITS) for at, share in enumerate(shares)]
    return Night(draw.choice(PATHS), plans)


@pytest.fixture
def source(postgres_server: Connection) -> Connection:
    """The pipeline's database, without rows."""
    create(postgres_server)
    return postgres_server


@pytest.fixture
def proxy(storage: Storage, s3_server: str) -> Iterator[S3Proxy]:
    """Stands between ingest and the S3 server."""
    with S3Proxy(s3_server) as running:
        yield running


@pytest.mark.timeout(rounds(300, 3600))
def test_each_call_to_the_s3_server_breaks_in_each_way(proxy, source, storage, tmp_path, tell):
    draw = random.Random(SEED)
    counts: Counter[str] = Counter()
    problems: list[str] = []
    places: set[tuple[IngestPath, str, Fault]] = set()
    planned = list(each_once())
    with (
        Watcher() as watcher,
        Forks(proxy.address, storage.bucket, source, tmp_path, impatient=True) as forks,
    ):
        generation = 0
        while planned or proxy.counts().total() < FAULTS or _broken_commits(proxy) < BROKEN_COMMITS:
            if generation % A_STORE == 0:
                store = storage.child(f"store-{generation // A_STORE}")
                watcher.follow(store)
            generation += 1
            load(source, generation)
            night = planned.pop(0) if planned else at_random(draw, generation)
            path, done = night.path, 0
            before = len(proxy.calls)
            for plan in (*night.plans, None):
                proxy.plan = plan
                job = Job(store.prefix, DAYS, f"run-{generation}", path, done, draw.random() < 0.3)
                ended = forks.run(job)
                done += len(ended.steps)
                if ended.well:
                    counts["good runs"] += 1
                    break
                assert ended.error is not None
                counts[ended.error["kind"]] += 1
                if ended.problem or plan is None:
                    problems.append(f"{path} {ended.problem or ended.error['text']}")
                done = 0 if path == "shell" or draw.random() < 0.2 else done
            proxy.plan = None
            places |= {(path, phase_of(call), call.fault) for call in proxy.calls[before:] if call.fault}
            problems += check_published(store, generation)
            watcher.look()
            if generation % A_STORE == 0:
                found = check_history(store)
                problems += found.problems
                counts.update(versions=found.versions, orphans=found.orphans)
        uploads = unfinished_uploads(storage)
        left = forks.left()
    faults = proxy.counts()
    tell(
        f"broke {faults.total()} of {len(proxy.calls)} calls ({dict(faults.most_common())}), "
        f"{_broken_commits(proxy)} of them commits; {dict(counts)}; reader: {watcher.polls} polls, "
        f"{len(watcher.states)} states, {len(watcher.violations)} wrong; unfinished uploads {len(uploads)}, "
        f"temporary files left {len(left)}"
    )
    assert problems == []
    assert watcher.violations == []
    assert left == []
    assert {("task", phase, fault) for n, fault in enumerate(Fault) for phase in phases_of(n)} <= places
    assert {phase for _, phase, _ in places} == set(PHASES)
    assert {("shell", "commit", fault) for fault in Fault} - places == set()
    assert faults.total() >= FAULTS
    assert counts["UnavailableError"] >= 5
    assert len(watcher.states) >= 6 * counts["good runs"]


def _broken_commits(proxy: S3Proxy) -> int:
    return sum(call.is_commit and call.fault is not None for call in list(proxy.calls))
