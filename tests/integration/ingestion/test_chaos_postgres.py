"""Connections to PostgreSQL break in the middle of a stream, and ingest is tried again."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from evergreen.connections import Connection
from tests.faults.forks import Forks, Job
from tests.faults.ingest import Path as IngestPath
from tests.faults.meters import DAYS, create, load
from tests.faults.tcp_proxy import Cuts, TcpProxy
from tests.faults.watch import Watcher, check_history, check_published

SEED = 20240103
FAULTS = 100
TERMINATED = 15
TIMED_OUT = 10
ATTEMPTS = 6  # under fire; then one that must succeed
A_STORE = 5  # runs in one store
MOST = 60_000  # bytes after which a connection breaks at the latest: about what one brings
PATHS: tuple[IngestPath, IngestPath] = ("task", "shell")
KINDS = ("cut", "cut", "cut", "terminate", "timeout")


@pytest.fixture
def source(postgres_server: Connection) -> Connection:
    """The pipeline's database, without rows."""
    create(postgres_server)
    return postgres_server


@pytest.fixture
def proxy(source: Connection) -> Iterator[TcpProxy]:
    """Stands between ingest and the database."""
    with TcpProxy(source.host or "", source.port or 0) as running:
        yield running


class _Executioner:
    """Ends the sessions of ingest at the server, the moment that they run a statement."""

    def __init__(self, source: Connection) -> None:
        self.ended = 0
        self._source = source
        self._stop = threading.Event()

    def __enter__(self) -> _Executioner:
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        with _session(self._source) as session:
            while not self._stop.wait(0.002):
                rows = session.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND application_name = 'evergreen' "
                    "AND (state <> 'idle' OR random() < 0.1)"
                ).fetchall()
                if any(row[0] for row in rows):
                    self.ended += sum(bool(row[0]) for row in rows)
                    return


def _session(source: Connection) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=source.host,
        port=source.port,
        user=source.login,
        password=source.password,
        dbname=source.schema,
        autocommit=True,
    )


@pytest.mark.timeout(600)
def test_100_connections_to_postgres_break(proxy, source, s3_store, s3_server, tmp_path):
    draw = random.Random(SEED)
    counts: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    problems: list[str] = []
    through = replace(source, host="127.0.0.1", port=proxy.port)
    with Watcher() as watcher, Forks(s3_server, s3_store.bucket, through, tmp_path) as forks:
        generation = 0
        while (
            proxy.counts().total() < FAULTS
            or counts["sessions terminated"] < TERMINATED
            or counts["statements timed out"] < TIMED_OUT
        ):
            if generation % A_STORE == 0:
                store = s3_store.child(f"store-{generation // A_STORE}")
                watcher.follow(store)
            generation += 1
            load(source, generation)
            path, done = draw.choice(PATHS), 0
            for attempt in range(ATTEMPTS + 1):
                kind = "calm" if attempt == ATTEMPTS else draw.choice(KINDS)
                proxy.plan = Cuts(SEED + proxy.opened, 0.5, MOST) if kind == "cut" else None
                job = Job(store.prefix, DAYS, f"run-{generation}", path, done)
                if kind == "terminate":
                    with _Executioner(source) as executioner:
                        ended = forks.run(job)
                    counts["sessions terminated"] += executioner.ended
                elif kind == "timeout":
                    with _session(source) as session:
                        # Ingest waits for the table until its statement takes too long.
                        session.execute("BEGIN; LOCK TABLE readings IN ACCESS EXCLUSIVE MODE")
                        ended = forks.run(replace(job, statement_seconds=1))
                    counts["statements timed out"] += "timeout" in (ended.error or {"text": ""})["text"]
                else:
                    ended = forks.run(job)
                done += len(ended.steps)
                if ended.well:
                    counts["good runs"] += 1
                    break
                assert ended.error is not None
                errors[ended.error["kind"]] += 1
                if ended.problem or kind == "calm":
                    problems.append(f"{path} {kind} {ended.problem or ended.error['text']}")
                done = 0 if path == "shell" or draw.random() < 0.2 or kind == "calm" else done
            proxy.plan = None
            problems += check_published(store, generation)
            if generation % A_STORE == 0:
                problems += check_history(store).problems
        left = forks.left()
    broken = proxy.counts()
    print(
        f"broke {broken.total()} of {proxy.opened} connections ({dict(broken.most_common())}); "
        f"{dict(counts)}; errors {dict(errors)}; reader: {watcher.polls} polls, "
        f"{len(watcher.states)} states, {len(watcher.violations)} wrong; temporary files left {len(left)}"
    )
    assert problems == []
    assert watcher.violations == []
    assert left == []
    assert set(errors) <= {"UnavailableError"}
    assert all(broken[kind] >= 5 for kind in ("cut", "stall", "stall and cut"))
    assert sum(wound.from_server for wound in proxy.broken) >= FAULTS // 2
    assert watcher.polls >= 50
