"""Rows change every day, in every way, while ingest is killed, repeated and put off: the lake ends exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from evergreen.connections import Connection
from evergreen.ingestion.stage import ingest
from evergreen.lake import Lake
from evergreen.pipeline import Pipeline
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from tests.campaign import rounds
from tests.faults.forks import Forks, Job
from tests.faults.ingest import PATHS, phase_of, steps
from tests.faults.ingest import Path as IngestPath
from tests.faults.killer import Killer
from tests.faults.meters import PIPELINES
from tests.faults.orders import Order, Orders, published
from tests.faults.s3_proxy import Call, S3Proxy

NAME = "changing"
LAST = 6
DAYS = [f"2024-01-{day:02d}" for day in range(1, LAST + 1)]


@dataclass(frozen=True)
class Change:
    """Something that happens to a row: `row` and `to` choose which, and what day it belongs to then.

    It happens in the last hour before the day, by a transaction that ends during it, where `slow` is true.
    """

    kind: Literal["insert", "correct", "spoil", "move"]
    row: int
    to: int
    slow: bool


@dataclass(frozen=True)
class Night:
    """What happens during a day, and how it is ingested after it.

    `waits` is how many later days are ingested first. An attempt is killed before its commit `dies`, if it
    has as many, or after it. `again` is a day that is ingested once more.
    """

    changes: tuple[Change, ...]
    waits: int
    path: IngestPath
    dies: int | None
    after: bool
    again: int | None


CHANGES = st.builds(
    Change,
    kind=st.sampled_from(["insert", "correct", "spoil", "move"]),
    row=st.integers(0, 99),
    to=st.integers(1, LAST + 1),
    slow=st.booleans(),
)
NIGHTS = st.builds(
    Night,
    changes=st.lists(CHANGES, max_size=4).map(tuple),
    waits=st.sampled_from([0, 0, 0, 1, 2]),
    path=st.sampled_from(PATHS),
    dies=st.none() | st.integers(0, 3),
    after=st.booleans(),
    again=st.none() | st.integers(1, LAST),
)


class Killed(BaseException):
    """Ends an attempt as a kill does: nothing that catches errors catches it."""


def at(day: int, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(2024, 1, 1, hour, minute, tzinfo=UTC) + timedelta(days=day - 1)


def anchors(orders: Orders) -> None:
    """An order of each day that never changes: a day without rows is refused."""
    orders.clear()
    orders.put(*(Order(day, at(day, 0), 1, at(day, 0)) for day in range(1, LAST + 1)))


def happen(orders: Orders, day: int, number: int, change: Change) -> None:
    when = at(day - 1, 23, 10 + number) if change.slow else at(day, 1 + number)
    changing = sorted(each for each in orders.rows if each > LAST)
    if change.kind == "insert" or not changing:
        orders.put(Order(100 * day + number, at(change.to, 3, number), 10, when))
        return
    row = changing[change.row % len(changing)]
    if change.kind == "move":
        orders.change(row, when, at=at(change.to, 4, number))
    else:
        orders.change(row, when, amount=(-1 if change.kind == "spoil" else 1) * (10 * day + number))


class Runs:
    """Ingests days; an attempt may be killed at one of its commits, and is then made again."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.counts: Counter[str] = Counter()

    def run(self, day: int, path: IngestPath, dies: int | None = None, after: bool = False) -> None:
        commit, commits = Lake.commit, iter(range(100))

        def dying(lake: Lake, *arguments: object) -> list[str]:
            number = next(commits)
            if number == dies and not after:
                raise Killed
            done = commit(lake, *arguments)  # type: ignore[arg-type]
            if number == dies:
                raise Killed
            return done

        self.counts[path] += 1
        for _, step in steps(self.pipeline, [DAYS[day - 1]], f"run-{self.counts.total()}", path):
            try:
                with patch.object(Lake, "commit", dying):
                    step()
            except Killed:
                self.counts["killed"] += 1
                step()


def pipeline_in(store: Storage, orders: Orders) -> Pipeline:
    spec = parse_spec(PIPELINES / NAME / "pipeline.yaml")
    source = spec.sources["orders"]
    rule = type(source.config.changes)(column="changed_at")
    config = source.config.model_copy(update={"changed": rule})
    spec = spec.model_copy(update={"sources": {"orders": source.model_copy(update={"config": config})}})
    return Pipeline(spec, store, lambda conn_id: orders.connection)


@pytest.fixture
def orders(postgres_server: Connection) -> Orders:
    return Orders(postgres_server)


@pytest.mark.hypothesis
@pytest.mark.timeout(rounds(300, 3600))
def test_after_the_last_night_the_lake_is_as_if_it_was_ingested_anew(orders, storage: Storage, tell):
    """Each day is ingested once or more after it has ended, in any order, killed or not."""
    counts: Counter[str] = Counter()

    @settings(
        max_examples=rounds(5, 120),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        phases=[Phase.generate],  # a history takes a second or two, and to shorten one that fails minutes
    )
    @given(nights=st.tuples(*[NIGHTS] * LAST))
    def play(nights: tuple[Night, ...]) -> None:
        counts["histories"] += 1
        anchors(orders)
        runs = Runs(pipeline_in(storage.child(f"store-{counts['histories']}"), orders))
        waiting: list[tuple[int, int, Night]] = []
        ingested: set[int] = set()
        for day, night in enumerate(nights, 1):
            for number, change in enumerate(night.changes):
                happen(orders, day, number, change)
                counts[change.kind] += 1
            waiting.append((day + night.waits, day, night))
            for due in sorted(each for each in waiting if each[0] <= day or day == LAST):
                waiting.remove(due)
                runs.run(due[1], due[2].path, due[2].dies, due[2].after)
                ingested.add(due[1])
            if night.again in ingested:
                runs.run(night.again, night.path)
        assert published(runs.pipeline.lake) == orders.expected(DAYS)
        counts.update(runs.counts)

    play()
    tell(f"{dict(counts)}: rows of every history are where they belong, once")
    assert counts["killed"] >= rounds(3, 100)


@pytest.fixture
def proxy(s3_server: str) -> Iterator[S3Proxy]:
    with S3Proxy(s3_server) as running:
        yield running


def phase(call: Call) -> str:
    return "noting" if "/receipts/changed/" in call.key and call.method == "PUT" else phase_of(call)


# Each path, how many of its steps were done before, and at which call the next one is killed.
KILLS: list[tuple[IngestPath, int, str, int]] = [
    ("shell", 0, "upload", 1),
    ("shell", 0, "commit", 0),
    ("shell", 0, "commit", 1),
    ("task", 3, "noting", 0),
    ("task", 3, "upload", 1),
    ("task", 3, "commit", 0),
    ("task", 3, "commit", 1),
]
KILLED = KILLS[rounds(1, 0) :: rounds(2, 1)]


def test_a_killed_run_is_ended_by_its_retry(orders, storage: Storage, proxy, tmp_path, tell):
    """The process dies at a call to the S3 server; rows were inserted, corrected, spoilt and moved."""
    with Forks(proxy.address, storage.bucket, orders.connection, tmp_path) as forks:
        for path, done, where, number in KILLED:
            store = storage.child(f"{path}-{where}-{number}")
            anchors(orders)
            orders.put(*(Order(100 * day, at(day, 2), 10, at(day, 2)) for day in range(1, LAST)))
            orders.put(*(Order(100 * day + 1, at(day, 3), -1, at(day, 3)) for day in range(1, LAST)))
            pipeline = pipeline_in(store, orders)
            ingest(pipeline, DAYS[:-1])
            orders.put(Order(999, at(2, 5), 3, at(LAST)))
            orders.change(200, at(LAST), amount=11)
            orders.change(300, at(LAST), amount=-2)
            orders.change(301, at(LAST), amount=2)
            orders.change(400, at(LAST), at=at(3, 6))
            orders.change(401, at(LAST), at=at(LAST, 6))
            job = Job(store.prefix, DAYS[-1:], "run", path, pipeline=NAME)
            if done:
                for _, step in steps(pipeline, DAYS[-1:], "run", path)[:done]:
                    step()
            killer = Killer(phase, where, number)
            proxy.watch = killer.look
            attempt = Job(store.prefix, DAYS[-1:], "run", path, done, pipeline=NAME)
            assert not forks.run(attempt, opened=killer.arm).finished, f"{path} ended before {where} {number}"
            proxy.watch = None
            assert forks.run(attempt if done else job).well
            assert published(pipeline.lake) == orders.expected(DAYS), (path, where, number)
        left = forks.left()
    tell(f"killed {len(KILLED)} runs while they ingested changed days again")
    assert left == []
