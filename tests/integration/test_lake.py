"""The lake on a real S3 server: writers who meet, and tables of an earlier shape."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from evergreen.lake import Lake, Table
from evergreen.storage import Storage
from evergreen.validation.quarantine import QUARANTINE
from tests.faults.s3_proxy import S3Proxy

WRITERS, ROUNDS = 6, 8


@pytest.fixture
def lake(storage: Storage) -> Lake:
    return Lake(storage, "bikes")


def test_of_first_writers_of_a_partition_one_content_stays(lake: Lake):
    """Delta itself would keep the rows of all of them."""
    barrier = Barrier(WRITERS)

    def write(writer: int) -> None:
        for number in range(ROUNDS):
            barrier.wait(60)
            lake.replace(Table.PARTITIONS, {f"2024-01-{number + 1:02}": pa.table({"writer": [writer] * 3})})

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    rows = lake.read(Table.PARTITIONS)
    by_partition = rows.group_by("partition").aggregate([("writer", "count"), ("writer", "count_distinct")])
    assert by_partition.num_rows == ROUNDS
    assert set(by_partition.column("writer_count").to_pylist()) == {3}
    assert set(by_partition.column("writer_count_distinct").to_pylist()) == {1}


def test_writers_of_different_partitions_lose_nothing(lake: Lake):
    def write(writer: int) -> None:
        for number in range(ROUNDS):
            lake.replace(Table.PARTITIONS, {f"{writer}-{number}": pa.table({"writer": [writer] * 3})})

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    assert lake.read(Table.PARTITIONS).num_rows == 3 * WRITERS * ROUNDS


def test_a_quarantine_of_an_earlier_shape_gets_the_new_column(lake: Lake, storage: Storage):
    old = pa.table({"row": ["{}"], "expectation": ["e"], "reason": ["r"], "partition": ["2024-01-01"]})
    address = storage.uri("bikes/lake/quarantine")
    write_deltalake(address, old, partition_by=["partition"], storage_options=storage.delta_options)
    new = pa.Table.from_pylist(
        [{"row": "a", "expectation": "e", "reason": "r", "place": "f:1"}], schema=QUARANTINE
    )
    lake.replace(Table.QUARANTINE, {"2024-01-02": new}, QUARANTINE)
    assert lake.read(Table.QUARANTINE).column("place").to_pylist() == [None, "f:1"]
    lake.replace(Table.QUARANTINE, {"2024-01-01": new}, QUARANTINE)
    assert lake.read(Table.QUARANTINE).column("row").to_pylist() == ["a", "a"]


def test_a_commit_lists_no_entry_of_the_log_that_is_known(storage: Storage, s3_server: str):
    """Else each night would cost more than the one before it, in a listing of all of them."""
    with S3Proxy(s3_server) as proxy:
        credentials = replace(storage.credentials, endpoint_url=proxy.address)
        lake = Lake(Storage(storage.bucket, "", credentials), "bikes")
        lake.replace(Table.PARTITIONS, {"2024-01-01": pa.table({"x": [1]})})
        created = len(proxy.calls)
        for day in range(2, 10):
            lake.replace(Table.PARTITIONS, {f"2024-01-0{day}": pa.table({"x": [day]})})
        listings = [call.query for call in proxy.calls[created:] if "list-type" in call.query]
    assert len(listings) >= 8
    assert [query for query in listings if "start-after" not in query] == []
