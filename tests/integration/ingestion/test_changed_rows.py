"""A table that says when a row changed: the partitions that are ingested again, and what they hold then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from evergreen.connections import Connection
from evergreen.errors import NothingToDoError, RefusedError, SourceError
from evergreen.ingestion.stage import ingest, ingest_changed
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from tests.faults.meters import PIPELINES
from tests.faults.orders import Order, Orders, published

NAME = "changing"
DAYS = [f"2024-01-{day:02d}" for day in range(1, 10)]


def at(day: int, hour: int = 12) -> datetime:
    return datetime(2024, 1, day, hour, tzinfo=UTC)


def order(day: int, number: int, amount: int = 10) -> Order:
    return Order(100 * day + number, at(day, number), amount, at(day, number))


@pytest.fixture
def orders(postgres_server: Connection) -> Orders:
    """A table with three orders of each of seven days, the third of which breaks the expectation."""
    orders = Orders(postgres_server)
    orders.put(*(order(day, number, (10, 20, -7)[number - 1]) for day in range(1, 8) for number in (1, 2, 3)))
    return orders


@pytest.fixture
def pipeline(orders: Orders, storage: Storage) -> Pipeline:
    """Days 1 to 6 are published."""
    pipeline = pipeline_of(orders, storage)
    ingest(pipeline, DAYS[:6])
    return pipeline


def pipeline_of(orders: Orders, storage: Storage, **changed: Any) -> Pipeline:
    spec = parse_spec(PIPELINES / NAME / "pipeline.yaml")
    source = spec.sources["orders"]
    rule = source.config.changes.model_copy(update=changed)
    config = source.config.model_copy(update={"changed": rule})
    spec = spec.model_copy(update={"sources": {"orders": source.model_copy(update={"config": config})}})
    return Pipeline(spec, storage, lambda conn_id: orders.connection)


def late(orders: Orders) -> None:
    orders.put(Order(999, at(3), 5, at(7)))


def late_and_bad(orders: Orders) -> None:
    orders.put(Order(999, at(3), -5, at(7)))


def corrected(orders: Orders) -> None:
    orders.change(302, at(7), amount=21)


def made_bad(orders: Orders) -> None:
    orders.change(302, at(7), amount=-21)


def made_good(orders: Orders) -> None:
    orders.change(303, at(7), amount=7)


def moved(orders: Orders) -> None:
    orders.change(302, at(7), at=at(5))


def moved_from_quarantine(orders: Orders) -> None:
    orders.change(303, at(7), at=at(5))


def moved_into_the_night(orders: Orders) -> None:
    orders.change(302, at(7), at=at(7, 20))


def moved_twice(orders: Orders) -> None:
    orders.change(302, at(7, 1), at=at(4))
    orders.change(302, at(7, 2), at=at(5))


def moved_to_tomorrow(orders: Orders) -> None:
    orders.change(302, at(7), at=at(9))


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (late, [3]),
        (late_and_bad, [3]),
        (corrected, [3]),
        (made_bad, [3]),
        (made_good, [3]),
        (moved, [3, 5]),
        (moved_from_quarantine, [3, 5]),
        (moved_into_the_night, [3]),
        (moved_twice, [3, 5]),
        (moved_to_tomorrow, [3]),
    ],
)
def test_days_whose_rows_changed_are_ingested_again(
    orders: Orders, pipeline: Pipeline, change: Callable[[Orders], None], again: list[int]
) -> None:
    change(orders)
    found = ingest(pipeline, DAYS[6:7])
    assert [one.partition for one in found] == [*(DAYS[day - 1] for day in again), DAYS[6]]
    assert all(one.changed for one in found)
    assert published(pipeline.lake) == orders.expected(DAYS[:7])
    version = pipeline.lake.version(Table.PARTITIONS)
    assert not any(one.changed for one in ingest(pipeline, DAYS[6:7]))
    assert pipeline.lake.version(Table.PARTITIONS) == version


def test_a_row_whose_change_was_written_late_is_seen_with_the_next_day(
    orders: Orders, pipeline: Pipeline
) -> None:
    """Its transaction began within `overlap` of midnight, and ended after the day was ingested."""
    orders.change(302, datetime(2024, 1, 6, 23, 1, tzinfo=UTC), amount=21)
    orders.change(402, datetime(2024, 1, 6, 22, 59, tzinfo=UTC), amount=21)
    assert [one.partition for one in ingest(pipeline, DAYS[6:7])] == [DAYS[2], DAYS[6]]


def test_of_a_bulk_update_only_days_within_are_read_and_the_others_are_named(
    orders: Orders, pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    before = orders.expected(DAYS[:2])
    for number in list(orders.rows):
        orders.change(number, at(7), amount=1)
    assert [one.partition for one in ingest(pipeline, DAYS[6:7])] == DAYS[2:7]
    assert published(pipeline.lake) == before | orders.expected(DAYS[2:7])
    assert caplog.messages == [
        "changing: source 'orders': rows of 2 partitions from 2024-01-01 to 2024-01-02 have changed too, "
        "which is before 'within' (4 days), and are not read again: to do that, run evergreen ingest "
        "changing --partition 2024-01-01 --to 2024-01-02"
    ]


def test_what_is_published_later_or_not_at_all_is_not_read_again(orders: Orders, storage: Storage) -> None:
    pipeline = pipeline_of(orders, storage)
    ingest(pipeline, [*DAYS[:2], *DAYS[4:7]])
    orders.change(301, at(6), amount=1)  # of a day that is not published
    orders.change(701, at(6), amount=1)  # of a later day
    orders.change(201, at(6), amount=1)
    assert [one.partition for one in ingest(pipeline, DAYS[5:6])] == [DAYS[1], DAYS[5]]
    assert [one.partition for one in ingest(pipeline, DAYS[2:4])] == DAYS[2:4]


def test_a_range_looks_at_all_its_days(orders: Orders, storage: Storage) -> None:
    pipeline = pipeline_of(orders, storage)
    ingest(pipeline, DAYS[:4])
    orders.change(201, at(5), amount=1)
    orders.change(302, at(6), at=at(5))
    assert [one.partition for one in ingest(pipeline, DAYS[4:7])] == DAYS[1:7][:2] + DAYS[4:7]
    assert published(pipeline.lake) == orders.expected(DAYS[:7])


def test_a_refused_day_keeps_its_rows_and_the_others_are_published(
    orders: Orders, pipeline: Pipeline
) -> None:
    """All rows of a day have moved away, which cannot be told from a source that is not there."""
    old = orders.expected(DAYS[2:3])
    for number in (301, 302, 303):
        orders.change(number, at(7), at=at(4))
    with pytest.raises(RefusedError, match=r"2024-01-03: .*no rows.*: 1 of 3 partitions were not published"):
        ingest(pipeline, DAYS[6:7])
    assert published(pipeline.lake) == orders.expected(DAYS[:7]) | old


def test_only_what_changed_is_ingested_again_where_the_days_themselves_are_published(
    orders: Orders, pipeline: Pipeline
) -> None:
    with pytest.raises(
        NothingToDoError, match="changing 2024-01-06: no rows of published partitions have changed"
    ):
        ingest_changed(pipeline, DAYS[5:6], "run-6")
    moved(orders)
    orders.change(601, at(6, 23), amount=3)
    assert [one.partition for one in ingest_changed(pipeline, DAYS[6:7], "run-7")] == [
        DAYS[2],
        DAYS[4],
        DAYS[5],
    ]
    assert published(pipeline.lake) == orders.expected(DAYS[:6])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"column": "changed"},
            r"source 'orders': changed \(key: id\): table 'orders' has no column 'changed' \(",
        ),
        (
            {"column": "amount"},
            r"source 'orders': changed \(key: id\): time_column 'amount' of table 'orders' is of type int4",
        ),
        (
            {"key": ("number",)},
            r"source 'orders': changed \(key: number\): table 'orders' has no column 'number'",
        ),
    ],
)
def test_what_the_table_does_not_have_is_said_in_one_line(
    orders: Orders, pipeline: Pipeline, changed: Any, says: str
) -> None:
    wrong = pipeline_of(orders, pipeline.storage, **changed)
    with pytest.raises(SourceError, match=says) as error:
        ingest(wrong, DAYS[6:7])
    assert "\n" not in str(error.value)


def test_without_a_key_moved_rows_are_found_only_where_they_are_now(
    orders: Orders, pipeline: Pipeline
) -> None:
    moved(orders)
    keyless = pipeline_of(orders, pipeline.storage, key=())
    assert [one.partition for one in ingest(keyless, DAYS[6:7])] == [DAYS[4], DAYS[6]]


def test_local_times_of_change_are_those_of_the_zone(orders: Orders, storage: Storage) -> None:
    """The clocks of Berlin go forward on 2024-03-31 at 2: that day ends at 22:00 UTC."""
    orders.clear()
    orders.execute("ALTER TABLE orders ALTER at TYPE timestamp, ALTER changed_at TYPE timestamp")
    orders.execute(
        "INSERT INTO orders SELECT day, make_timestamp(2024, 3, day, 12, 0, 0), 1 "
        "FROM generate_series(25, 31) day"
    )
    orders.execute("UPDATE orders SET changed_at = at")
    pipeline = pipeline_of(orders, storage)
    spec = pipeline.spec.model_copy(update={"timezone": "Europe/Berlin"})
    pipeline = Pipeline(spec, storage, pipeline.connect)
    days = [f"2024-03-{day}" for day in range(25, 32)]
    ingest(pipeline, days)
    for number, moment in [
        (25, "2024-03-30 22:59"),
        (28, "2024-03-30 23:00"),
        (29, "2024-03-31 23:59"),
        (30, "2024-04-01 00:00"),
    ]:
        orders.execute(
            "UPDATE orders SET changed_at = %s::timestamp, amount = 2 WHERE id = %s", moment, number
        )
    assert [one.partition for one in ingest(pipeline, days[-1:])] == [
        "2024-03-28",
        "2024-03-29",
        "2024-03-31",
    ]
