"""Calls to the S3 server break while ingest runs, also when the server has done what it was asked."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from evergreen.connections import Connection
from evergreen.storage import Storage
from tests.faults.forks import Forks, Job
from tests.faults.ingest import Path as IngestPath
from tests.faults.meters import DAYS, create, load
from tests.faults.s3_proxy import AFTER, Fault, Plan, S3Proxy
from tests.faults.watch import Watcher, check_history, check_published, unfinished_uploads

SEED = 20240102
FAULTS = 300
BROKEN_COMMITS = 40
COMMITS = 0.6  # the share of commits that break: there are few, and they are what matters
ATTEMPTS = 5  # under fire; then one that must succeed
A_STORE = 5  # runs in one store
PATHS: tuple[IngestPath, IngestPath] = ("task", "shell")


@pytest.fixture
def source(postgres_server: Connection) -> Connection:
    """The pipeline's database, without rows."""
    create(postgres_server)
    return postgres_server


@pytest.fixture
def proxy(s3_store: Storage, s3_server: str) -> Iterator[S3Proxy]:
    """Stands between ingest and the S3 server."""
    with S3Proxy(s3_server) as running:
        yield running


@pytest.mark.timeout(600)
def test_300_calls_to_the_s3_server_break(proxy, source, s3_store, tmp_path):
    draw = random.Random(SEED)
    counts: Counter[str] = Counter()
    problems: list[str] = []
    uploads: list[str] = []
    with (
        Watcher() as watcher,
        Forks(proxy.address, s3_store.bucket, source, tmp_path, impatient=True) as forks,
    ):
        generation = 0
        while proxy.counts().total() < FAULTS or _broken_commits(proxy) < BROKEN_COMMITS:
            if generation % A_STORE == 0:
                store = s3_store.child(f"store-{generation // A_STORE}")
                watcher.follow(store)
            generation += 1
            load(source, generation)
            path, done = draw.choice(PATHS), 0
            for attempt in range(ATTEMPTS + 1):
                calm = attempt == ATTEMPTS
                # A client tries a call three times, so that most nights succeed in the end: some are worse.
                share = draw.choice((0.05, 0.15, 0.4))
                proxy.plan = None if calm else Plan(SEED + 100 * generation + attempt, share, COMMITS)
                job = Job(store.prefix, DAYS, f"run-{generation}", path, done, draw.random() < 0.3)
                ended = forks.run(job)
                done += len(ended.steps)
                if ended.well:
                    counts["good runs"] += 1
                    break
                assert ended.error is not None
                counts[ended.error["kind"]] += 1
                if ended.problem or calm:
                    problems.append(f"{path} {ended.problem or ended.error['text']}")
                done = 0 if path == "shell" or draw.random() < 0.2 or calm else done
            proxy.plan = None
            problems += check_published(store, generation)
            if generation % A_STORE == 0:
                found = check_history(store)
                problems += found.problems
                counts.update(versions=found.versions, orphans=found.orphans)
        uploads += unfinished_uploads(s3_store)
        left = forks.left()
    faults = proxy.counts()
    print(
        f"broke {faults.total()} of {len(proxy.calls)} calls ({dict(faults.most_common())}), "
        f"{_broken_commits(proxy)} of them commits; {dict(counts)}; reader: {watcher.polls} polls, "
        f"{len(watcher.states)} states, {len(watcher.violations)} wrong; unfinished uploads {len(uploads)}, "
        f"temporary files left {len(left)}"
    )
    assert problems == []
    assert watcher.violations == []
    assert left == []
    assert all(faults[fault] >= 3 for fault in Fault)
    assert sum(faults[fault] for fault in AFTER) >= FAULTS // 10
    assert watcher.polls >= 50


def _broken_commits(proxy: S3Proxy) -> int:
    return sum(call.is_commit and call.fault is not None for call in list(proxy.calls))
