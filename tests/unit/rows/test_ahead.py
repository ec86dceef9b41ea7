"""Reading ahead changes nothing but who waits for whom."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from evergreen.errors import UnavailableError
from evergreen.rows.ahead import DEPTH, ahead
from evergreen.rows.batches import Rejected, Rows

SCHEMA = pa.schema([("n", pa.int64())])


def batch(n: int) -> pa.RecordBatch:
    return pa.record_batch({"n": pa.array([n], pa.int64())})


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "evergreen-ahead"]


def test_the_rows_come_in_order_with_what_was_rejected():
    rejected: list[Rejected] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for n in range(50):
            rejected.append(Rejected(str(n), "", ""))
            yield batch(n)

    rows = ahead(Rows(SCHEMA, batches(), rejected))
    assert rows.table().column("n").to_pylist() == list(range(50))
    assert len(rows.rejected) == 50
    assert not readers()


def test_an_error_is_raised_after_the_rows_before_it():
    def batches() -> Iterator[pa.RecordBatch]:
        yield batch(1)
        raise UnavailableError("gone")

    rows = iter(ahead(Rows(SCHEMA, batches())))
    assert next(rows).column("n").to_pylist() == [1]
    with pytest.raises(UnavailableError, match="gone"):
        next(rows)
    assert not readers()


def test_an_abandoned_read_ends_the_source_after_a_few_batches():
    given: list[int] = []
    closed: list[bool] = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for n in range(10_000):
                given.append(n)
                yield batch(n)
        finally:
            closed.append(True)

    rows = ahead(Rows(SCHEMA, batches()))
    next(iter(rows))
    rows.close()
    assert closed == [True]
    assert len(given) <= DEPTH + 4
    assert not readers()
