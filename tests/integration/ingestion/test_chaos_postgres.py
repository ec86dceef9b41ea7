"""Connections to PostgreSQL break in the middle of a stream, and ingest is tried again."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import psycopg
import pytest

from evergreen.connections import Connection
from tests.campaign import FULL, rounds, seed
from tests.faults.forks import Forks, Job
from tests.faults.ingest import PATHS
from tests.faults.ingest import Path as IngestPath
from tests.faults.meters import DAYS, create, load
from tests.faults.tcp_proxy import Break, Cuts, First, TcpProxy, Wound, Wounds
from tests.faults.watch import Watcher, check_history, check_published

SEED = seed(20240103)
# At random, after each at each place
FAULTS = rounds(0, 100)
TERMINATED = rounds(0, 15)
TIMED_OUT = rounds(0, 10)
ATTEMPTS = 6  # under random fire; then one that must succeed
A_STORE = 5  # runs in one store
MOST = 60_000  # bytes after which a connection breaks at the latest: about what one brings
KINDS = ("cut", "cut", "cut", "terminate", "timeout")
# Bytes into a connection: while it logs in and in the middle of the rows, or of what is asked.
PLACES = {True: (50, 3_000), False: (50, 300)}

Fire = Wounds | Literal["terminate", "timeout"]


@dataclass(frozen=True)
class Night:
    """A run by one of the two paths, and what each of its attempts but the last comes under."""

    path: IngestPath
    fires: Sequence[Fire]


def each_once() -> Iterator[Night]:
    """Every break of a connection, either way, early and late; an ended session and a time-out.

    A shell reads rows as a task does: its connections are only cut, and of what it asks they do not break.
    """
    for path in PATHS:
        for kind in Break if FULL or path == "task" else (Break.CUT,):
            for from_server, places in PLACES.items():
                if from_server or path == "task":
                    yield Night(path, [First(Wound(kind, from_server, after)) for after in places])
        yield Night(path, ["terminate", "timeout"])


def at_random(draw: random.Random, generation: int) -> Night:
    kinds = [draw.choice(KINDS) for _ in range(ATTEMPTS)]
    cuts = [Cuts(SEED + 100 * generation + at, 0.5, MOST) for at in range(ATTEMPTS)]
    return Night(draw.choice(PATHS), [cuts[at] if kind == "cut" else kind for at, kind in enumerate(kinds)])


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


class _Waiting:
    """A locked table, for which ingest's statement waits; with `ends` its session is ended once it does."""

    def __init__(self, source: Connection, ends: bool) -> None:
        self.ended = 0
        self._source, self._ends = source, ends
        self._stop = threading.Event()

    def __enter__(self) -> _Waiting:
        self._lock = _session(self._source)
        self._lock.execute("BEGIN; LOCK TABLE readings IN ACCESS EXCLUSIVE MODE")
        self._thread = threading.Thread(target=self._end)
        if self._ends:
            self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop.set()
        if self._ends:
            self._thread.join()
        self._lock.close()

    def _end(self) -> None:
        with _session(self._source) as session:
            while not self._stop.wait(0.02) and not self.ended:
                rows = session.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND application_name = 'evergreen' "
                    "AND wait_event_type = 'Lock'"
                ).fetchall()
                self.ended += sum(bool(row[0]) for row in rows)
        self._lock.rollback()


def _session(source: Connection) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=source.host,
        port=source.port,
        user=source.login,
        password=source.password,
        dbname=source.schema,
        autocommit=True,
    )


@pytest.mark.timeout(rounds(300, 3600))
def test_each_connection_to_postgres_breaks_in_each_way(proxy, source, storage, s3_server, tmp_path, tell):
    draw = random.Random(SEED)
    counts: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    problems: list[str] = []
    planned = list(each_once())
    wanted = {fire.first for night in planned for fire in night.fires if isinstance(fire, First)}
    through = replace(source, host="127.0.0.1", port=proxy.port)
    with Watcher() as watcher, Forks(s3_server, storage.bucket, through, tmp_path) as forks:
        generation = 0
        while (
            planned
            or proxy.counts().total() < FAULTS
            or counts["sessions terminated"] < TERMINATED
            or counts["statements timed out"] < TIMED_OUT
        ):
            if generation % A_STORE == 0:
                store = storage.child(f"store-{generation // A_STORE}")
                watcher.follow(store)
            generation += 1
            load(source, generation)
            night = planned.pop(0) if planned else at_random(draw, generation)
            path, done = night.path, 0
            for fire in (*night.fires, None):
                proxy.plan = None if isinstance(fire, str) else fire
                job = Job(store.prefix, DAYS, f"run-{generation}", path, done)
                if isinstance(fire, str):
                    with _Waiting(source, ends=fire == "terminate") as waiting:
                        ended = forks.run(replace(job, statement_seconds=1 if fire == "timeout" else None))
                    counts["sessions terminated"] += waiting.ended
                    counts["statements timed out"] += "timeout" in (ended.error or {"text": ""})["text"]
                else:
                    ended = forks.run(job)
                done += len(ended.steps)
                if ended.well and (fire is None or not isinstance(fire, First)):
                    break
                if ended.error is not None:
                    errors[ended.error["kind"]] += 1
                    if ended.problem or fire is None:
                        problems.append(f"{path} {fire} {ended.problem or ended.error['text']}")
                done = 0 if path == "shell" or ended.well or draw.random() < 0.2 else done
            counts["good runs"] += 1
            proxy.plan = None
            problems += check_published(store, generation)
            watcher.look()
            if generation % A_STORE == 0:
                problems += check_history(store).problems
        left = forks.left()
    broken = proxy.counts()
    tell(
        f"broke {broken.total()} of {proxy.opened} connections ({dict(broken.most_common())}); "
        f"{dict(counts)}; errors {dict(errors)}; reader: {watcher.polls} polls, "
        f"{len(watcher.states)} states, {len(watcher.violations)} wrong; temporary files left {len(left)}"
    )
    assert problems == []
    assert watcher.violations == []
    assert left == []
    assert set(errors) == {"UnavailableError"}
    assert wanted - set(proxy.broken) == set()
    assert counts["sessions terminated"] >= max(TERMINATED, 2)
    assert counts["statements timed out"] >= max(TIMED_OUT, 2)
    assert len(watcher.states) >= 6 * counts["good runs"]
