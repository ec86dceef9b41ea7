"""The log of requests: whoever writes in whichever order, each row is read once."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.belongings import parts_of
from evergreen.errors import IntegrityError
from evergreen.forget import forget
from evergreen.request_log.forget import forget_rows
from evergreen.request_log.store import Kind, RequestLog
from evergreen.storage import Credentials, Storage
from tests.faults.memory_client import MemoryClient

DAY = "2024-01-01"
SCHEMA = pa.schema({"key": pa.int64(), "value": pa.float64(), "tags": pa.list_(pa.string())})


def in_memory() -> Storage:
    storage = Storage("bucket", "prefix", Credentials())
    vars(storage)["_client"] = MemoryClient()
    return storage


def table(*rows: tuple[int, float | None, list[str] | None]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)


ROWS = st.tuples(
    st.integers(0, 3),
    st.none() | st.sampled_from([0.0, 1.5, math.nan]),
    st.none() | st.lists(st.sampled_from(["a", "b"]), max_size=2),
)


@given(st.lists(st.lists(ROWS, max_size=4), max_size=5), st.randoms())
def test_each_row_is_read_once_whoever_wrote_it_and_when(
    batches: list[list[tuple[int, float | None, list[str] | None]]], shuffled: random.Random
) -> None:
    one, other = RequestLog(in_memory(), "p"), RequestLog(in_memory(), "p")
    for batch in batches:
        one.append(Kind.PREDICTIONS, DAY, table(*batch))
    again = [row for batch in batches for row in batch] * 2
    shuffled.shuffle(again)
    for row in again:
        other.append(Kind.PREDICTIONS, DAY, table(row))
    found, same = one.read(Kind.PREDICTIONS, DAY), other.read(Kind.PREDICTIONS, DAY)
    assert repr(found.to_pylist()) == repr(same.to_pylist())
    assert found.schema == same.schema
    texts = [repr((row["key"], row["value"], row["tags"])) for row in found.to_pylist()]
    assert sorted(texts) == sorted({repr(row) for row in again})


def test_the_same_rows_are_one_object_and_kinds_and_partitions_are_apart() -> None:
    log = RequestLog(in_memory(), "p")
    first = log.append(Kind.PREDICTIONS, DAY, table((1, 1.0, [])))
    assert log.append(Kind.PREDICTIONS, DAY, table((1, 1.0, []))) == first
    assert log.append(Kind.PREDICTIONS, DAY, table()) is None
    log.append(Kind.SHADOW, DAY, table((2, 1.0, [])))
    log.append(Kind.PREDICTIONS, "2024-01-02", table((3, 1.0, [])))
    assert {key: len(found) for key, found in log.look(Kind.PREDICTIONS).items()} == {
        DAY: 1,
        "2024-01-02": 1,
    }
    assert log.read(Kind.SHADOW, DAY).column("key").to_pylist() == [2]
    assert RequestLog(log.storage, "other").read(Kind.SHADOW, DAY).num_rows == 0
    log.remove([first or ""])
    assert log.read(Kind.PREDICTIONS, DAY).num_rows == 0


def test_a_column_that_came_later_is_null_before() -> None:
    log = RequestLog(in_memory(), "p")
    log.append(Kind.PREDICTIONS, DAY, pa.table({"key": [1]}))
    log.append(Kind.PREDICTIONS, DAY, pa.table({"key": [2], "new": ["a"]}))
    assert log.read(Kind.PREDICTIONS, DAY).to_pylist() == [{"key": 1, "new": None}, {"key": 2, "new": "a"}]


def test_what_was_changed_or_does_not_fit_is_said() -> None:
    log = RequestLog(in_memory(), "p")
    key = log.append(Kind.PREDICTIONS, DAY, pa.table({"key": [1]}))
    log.append(Kind.PREDICTIONS, DAY, pa.table({"key": ["a"]}))
    with pytest.raises(IntegrityError, match="have columns of other types"):
        log.read(Kind.PREDICTIONS, DAY)
    own = log.storage.child("p")
    own.delete([key or ""])
    own.create(key or "", b"other")
    with pytest.raises(IntegrityError, match="is not what was written: delete the object"):
        log.read(Kind.PREDICTIONS, DAY)


def test_what_is_deleted_while_it_is_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    log = RequestLog(in_memory(), "p")
    log.append(Kind.PREDICTIONS, DAY, pa.table({"key": [1]}))
    gone = log.append(Kind.PREDICTIONS, DAY, pa.table({"key": [2]}))
    listed: Callable[..., list[str]] = Storage.list

    def then_deleted(self: Storage, prefix: str) -> list[str]:
        found = listed(self, prefix)
        self.delete([gone or ""])
        return found

    monkeypatch.setattr(Storage, "list", then_deleted)
    assert log.read(Kind.PREDICTIONS, DAY).to_pylist() == [{"key": 1}]


def test_a_forgotten_pipeline_has_no_log() -> None:
    log = RequestLog(in_memory(), "p")
    log.append(Kind.PREDICTIONS, DAY, pa.table({"key": [1]}))
    log.append(Kind.SHADOW, DAY, pa.table({"key": [1]}))
    assert [(part.words, part.objects) for part in parts_of(log.storage, "p")] == [("the log of requests", 2)]
    assert forget(log.storage, "p") == 2
    assert log.look(Kind.PREDICTIONS) == {}


def test_rows_of_a_person_are_forgotten_in_every_kind_and_no_others() -> None:
    log, at = RequestLog(in_memory(), "p"), datetime(2024, 1, 1, 6, tzinfo=UTC)
    asked = pa.table({"row.customer": [17, 18], "row.at": [at, at], "answer": ["a", "b"]})
    log.append(Kind.PREDICTIONS, DAY, asked)
    log.append(Kind.PREDICTIONS, "2024-01-02", asked.slice(0, 1))
    log.append(Kind.SHADOW, DAY, pa.table({"row.customer": [17, 18]}))
    log.append(Kind.SHADOW, "2024-01-02", pa.table({"row.other": [17]}))
    assert forget_rows(log, {"customer": "17", "at": "2024-01-02T06:00:00+00:00"}) == 0
    assert forget_rows(log, {"customer": "17", "at": at.isoformat()}) == 2
    assert forget_rows(log, {"customer": "17"}) == 1
    assert log.read(Kind.PREDICTIONS, DAY).column("answer").to_pylist() == ["b"]
    assert log.read(Kind.SHADOW, DAY).column("row.customer").to_pylist() == [18]
    assert {key: len(found) for key, found in log.look(Kind.PREDICTIONS).items()} == {DAY: 1}
    assert log.read(Kind.SHADOW, "2024-01-02").num_rows == 1
