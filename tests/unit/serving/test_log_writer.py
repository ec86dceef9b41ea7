"""What a server's log loses, and what not: each row is written, waits, or is counted as dropped."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
import pytest

from evergreen.errors import StorageError, UnavailableError
from evergreen.request_log.store import Kind, RequestLog
from evergreen.serving.log_writer import DROPPED, WRITTEN, Bounds, LogWriter
from evergreen.storage import Credentials, Storage
from tests.faults.memory_client import MemoryClient

DAY = "2024-01-01"
NEVER = 3600.0


@pytest.fixture
def log() -> RequestLog:
    storage = Storage("bucket", "", Credentials())
    vars(storage)["_client"] = MemoryClient()
    return RequestLog(storage, "p")


class Counted:
    """Counts what became of rows, and lets a test wait for it."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self._changed = threading.Condition()

    def __call__(self, pipeline: str, outcome: str, rows: int) -> None:
        with self._changed:
            self.rows[outcome] += rows
            self._changed.notify_all()

    def wait(self, outcome: str, rows: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.rows[outcome] >= rows, 30)


@contextmanager
def writing(writer: LogWriter) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        yield thread
    finally:
        writer.stop()
        thread.join(30)
        assert not thread.is_alive()


def some(first: int, count: int = 1) -> Callable[[], Mapping[str, pa.Table]]:
    return lambda: {DAY: pa.table({"key": list(range(first, first + count))})}


def keys(log: RequestLog) -> list[int]:
    found = log.read(Kind.PREDICTIONS, DAY)
    return sorted(found.column("key").to_pylist()) if found.num_rows else []


def test_what_waits_is_written_together_at_the_end(log: RequestLog) -> None:
    counted = Counted()
    writer = LogWriter(counted, Bounds(seconds=NEVER))
    with writing(writer):
        assert all(writer.offer(log, Kind.PREDICTIONS, 1, some(at)) for at in range(20))
    assert keys(log) == list(range(20))
    assert len(log.look(Kind.PREDICTIONS)[DAY]) == 1
    assert counted.rows == {WRITTEN: 20}
    assert not writer.offer(log, Kind.PREDICTIONS, 1, some(20))
    assert counted.rows == {WRITTEN: 20, DROPPED: 1}


@pytest.mark.parametrize("bounds", [Bounds(seconds=NEVER, rows=10), Bounds(seconds=0.01)])
def test_many_rows_or_time_let_them_be_written(log: RequestLog, bounds: Bounds) -> None:
    counted = Counted()
    writer = LogWriter(counted, bounds)
    with writing(writer):
        writer.offer(log, Kind.PREDICTIONS, 10, some(0, 10))
        counted.wait(WRITTEN, 10)
        assert keys(log) == list(range(10))


def test_more_rows_than_may_wait_are_dropped_and_counted(log: RequestLog) -> None:
    counted, begun, go_on = Counted(), threading.Event(), threading.Event()

    def slow() -> Mapping[str, pa.Table]:
        begun.set()
        go_on.wait(30)
        return some(0)()

    writer = LogWriter(counted, Bounds(waiting=10, seconds=NEVER))
    with writing(writer):
        assert writer.offer(log, Kind.PREDICTIONS, 1, slow)
        begun.wait(30)
        taken = [writer.offer(log, Kind.PREDICTIONS, 2, some(1 + 2 * at, 2)) for at in range(7)]
        assert taken == [True] * 4 + [False] * 3
        go_on.set()
    assert keys(log) == list(range(9))
    assert counted.rows == {WRITTEN: 9, DROPPED: 6}


def test_rows_that_are_not_chosen_make_room(log: RequestLog) -> None:
    counted, looked = Counted(), threading.Semaphore(0)

    def none() -> Mapping[str, pa.Table]:
        looked.release()
        return {}

    writer = LogWriter(counted, Bounds(waiting=1, seconds=NEVER))
    with writing(writer):
        for _ in range(3):
            while not writer.offer(log, Kind.PREDICTIONS, 1, none):
                pass
            looked.acquire(timeout=30)
    assert counted.rows[WRITTEN] == 0
    assert log.look(Kind.PREDICTIONS) == {}


def away(monkeypatch: pytest.MonkeyPatch, error: Exception, calls: int) -> threading.Semaphore:
    """Let so many writes fail; the semaphore is released with each."""
    failed, create, left = threading.Semaphore(0), Storage.create, iter(range(calls))

    def create_or_fail(self: Storage, key: str, body: bytes, note: str = "") -> str:
        if next(left, None) is None:
            return create(self, key, body, note)
        failed.release()
        raise error

    monkeypatch.setattr(Storage, "create", create_or_fail)
    return failed


def test_while_the_storage_is_away_rows_wait_up_to_the_bound(
    log: RequestLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted()
    failed = away(monkeypatch, UnavailableError("away"), 3)
    writer = LogWriter(counted, Bounds(waiting=5, rows=1, seconds=0.01))
    with writing(writer):
        taken = [writer.offer(log, Kind.PREDICTIONS, 1, some(at)) for at in range(5)]
        for _ in range(3):
            assert failed.acquire(timeout=30)
        counted.wait(WRITTEN, sum(taken))
    assert keys(log) == [at for at, one in enumerate(taken) if one]
    assert counted.rows[WRITTEN] + counted.rows[DROPPED] == 5


def test_what_the_storage_does_not_take_at_the_end_is_counted(
    log: RequestLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted()
    away(monkeypatch, UnavailableError("away"), 1000)
    writer = LogWriter(counted, Bounds(seconds=NEVER))
    with writing(writer):
        writer.offer(log, Kind.PREDICTIONS, 3, some(0, 3))
        writer.offer(log, Kind.SHADOW, 2, some(0, 2))
    assert counted.rows == {DROPPED: 5}


def test_what_can_never_be_written_does_not_stand_in_the_way(
    log: RequestLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted()
    away(monkeypatch, StorageError("access denied"), 1)

    def broken() -> Mapping[str, pa.Table]:
        raise ValueError("no such column")

    writer = LogWriter(counted, Bounds(seconds=NEVER))
    with writing(writer):
        writer.offer(log, Kind.SHADOW, 2, some(0, 2))
        writer.offer(log, Kind.PREDICTIONS, 3, some(0, 3))
        writer.offer(log, Kind.PREDICTIONS, 4, broken)
    assert keys(log) == [0, 1, 2]
    assert counted.rows == {WRITTEN: 3, DROPPED: 6}


def test_many_threads_and_two_servers_lose_nothing(log: RequestLog) -> None:
    counted = Counted()
    writers = [LogWriter(counted, Bounds(seconds=0.001, rows=7)) for _ in range(2)]

    def offer(writer: LogWriter, first: int) -> None:
        for at in range(50):
            assert writer.offer(log, Kind.PREDICTIONS, 1, some(first + at))

    with writing(writers[0]), writing(writers[1]):
        threads = [
            threading.Thread(target=offer, args=(writer, 50 * (number % 3)))
            for number, writer in enumerate(writers * 3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert keys(log) == list(range(150))
    assert counted.rows == {WRITTEN: 300}
