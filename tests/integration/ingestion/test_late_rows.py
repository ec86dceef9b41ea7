"""Rows that come late, are corrected or deleted: what a partition holds after it is ingested again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from evergreen.connections import Connection
from evergreen.errors import RefusedError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from tests.campaign import rounds
from tests.faults.forks import Forks, Job
from tests.faults.ingest import PATHS, phase_of, run_ingest
from tests.faults.killer import Killer
from tests.faults.meters import PIPELINES
from tests.faults.orders import NAME, Order, Orders, published
from tests.faults.s3_proxy import S3Proxy

DAYS = [f"2024-01-{day:02d}" for day in range(1, 8)]
LATER = datetime(2024, 1, 9, 12, tzinfo=UTC)
# Phases of the second run, and which of their calls the kill is at.
KILLED_AT = [("upload", 1), ("commit", 1), ("upload", 0), ("commit", 0)][: rounds(2, 4)]


def order(day: int, number: int, amount: int) -> Order:
    at = datetime(2024, 1, day, number, tzinfo=UTC)
    return Order(100 * day + number, at, amount, at)


def late(orders: Orders) -> None:
    orders.put(replace(order(2, 7, 30), changed_at=LATER), replace(order(3, 8, -3), changed_at=LATER))


def corrected(orders: Orders) -> None:
    orders.change(201, LATER, amount=31)
    orders.change(202, LATER, amount=-1)  # a good row becomes a bad one
    orders.change(303, LATER, amount=5)  # and a bad one a good one


def deleted(orders: Orders) -> None:
    for number in (201, 303, 402, 403):
        orders.delete(number)


def all_of_them(orders: Orders) -> None:
    late(orders)
    corrected(orders)
    deleted(orders)


CHANGES: list[Callable[[Orders], None]] = [late, corrected, deleted, all_of_them]


@pytest.fixture
def orders(postgres_server: Connection) -> Orders:
    """A table with three orders of each day, one of which breaks the expectation."""
    return Orders(postgres_server)


def fill(orders: Orders) -> None:
    orders.clear()
    orders.put(*(order(day, number, (10, 20, -7)[number - 1]) for day in range(1, 8) for number in (1, 2, 3)))


def pipeline_in(store: Storage, orders: Orders) -> Pipeline:
    spec = parse_spec(PIPELINES / NAME / "pipeline.yaml")
    return Pipeline(spec, store, lambda conn_id: orders.connection)


def versions(pipeline: Pipeline) -> list[int]:
    return [pipeline.lake.version(table) for table in (Table.PARTITIONS, Table.QUARANTINE)]


def test_a_range_that_is_ingested_again_is_as_its_source_is_now(orders, storage: Storage):
    """As tasks and as a command; what lies outside the range stays, and a further run changes nothing."""
    for path in PATHS:
        for change in CHANGES if path == "shell" else CHANGES[-1:]:
            fill(orders)
            pipeline = pipeline_in(storage.child(f"{path}-{change.__name__}"), orders)
            run_ingest(pipeline, DAYS, "first", path)
            before = orders.expected(DAYS)
            assert published(pipeline.lake) == before
            change(orders)
            orders.change(601, LATER, amount=77)  # a day that the second run does not read
            run_ingest(pipeline, DAYS[1:4], "again", path)
            outside = [*DAYS[:1], *DAYS[4:]]
            told = orders.expected(DAYS[1:4]) | {
                key: rows for key, rows in before.items() if key[1] in outside
            }
            assert published(pipeline.lake) == told, (path, change.__name__)
            there = versions(pipeline)
            run_ingest(pipeline, DAYS[1:4], "once-more", path)
            assert versions(pipeline) == there


def test_a_day_whose_rows_are_all_deleted_is_refused_and_stays(orders, storage: Storage):
    """Nobody can tell it from a source that is not there yet."""
    fill(orders)
    pipeline = pipeline_in(storage, orders)
    run_ingest(pipeline, DAYS[:2], "first", "shell")
    before = published(pipeline.lake)
    for number in (101, 102, 103):
        orders.delete(number)
    with pytest.raises(
        RefusedError, match="orders 2024-01-01: refused: no rows: check that the sources hold"
    ):
        run_ingest(pipeline, DAYS[:1], "again", "shell")
    assert published(pipeline.lake) == before


@pytest.fixture
def proxy(s3_server: str) -> Iterator[S3Proxy]:
    with S3Proxy(s3_server) as running:
        yield running


def test_a_killed_run_leaves_whole_days_and_the_next_one_ends_the_work(
    orders, storage: Storage, proxy, tmp_path, tell
):
    kills = 0
    with Forks(proxy.address, storage.bucket, orders.connection, tmp_path) as forks:
        for path in PATHS:
            for phase, number in KILLED_AT:
                store = storage.child(f"{path}-{phase}-{number}")
                fill(orders)
                pipeline = pipeline_in(store, orders)
                assert forks.run(Job(store.prefix, DAYS, "first", path, pipeline=NAME)).well
                before = orders.expected(DAYS)
                all_of_them(orders)
                after = orders.expected(DAYS)
                killer = Killer(phase_of, phase, number)
                proxy.watch = killer.look
                again = Job(store.prefix, DAYS, "again", path, pipeline=NAME)
                assert not forks.run(again, opened=killer.arm).finished, (
                    f"{path} ended before {phase} {number}"
                )
                proxy.watch = None
                kills += 1
                there = published(pipeline.lake)
                for key in there.keys() | before.keys() | after.keys():
                    states = [state.get(key, Counter()) for state in (before, after)]
                    assert there.get(key, Counter()) in states, (path, phase, number, key)
                assert forks.run(again).well
                assert published(pipeline.lake) == after, (path, phase, number)
    tell(f"killed {kills} runs of days whose rows were late, corrected and deleted")
    assert kills == len(PATHS) * len(KILLED_AT)
