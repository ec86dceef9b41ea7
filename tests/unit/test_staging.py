from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from evergreen.errors import IntegrityError, NotFoundError, UnavailableError
from evergreen.rows.batches import Rejected, Rows
from evergreen.staging import Staging
from evergreen.storage import Storage


@pytest.fixture
def staging(storage: Storage) -> Staging:
    return Staging(storage, "bikes", "run-1")


def test_a_table_comes_back_with_its_types(staging: Staging):
    times = pa.array([datetime(2011, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC"))
    rows = pa.table({"at": times, "n": pa.array([1, None], pa.int64()), "s": pa.array(["a", None])})
    staging.write_table("rows", rows)
    assert staging.read_table("rows").equals(rows)


def test_a_table_without_rows_keeps_its_columns(staging: Staging):
    rows = pa.table({"n": pa.array([], pa.int64())})
    staging.write_table("rows", rows)
    assert staging.read_table("rows").schema == rows.schema


def test_json_and_bytes_come_back_and_are_written_over(staging: Staging):
    staging.write_json("note", {"a": [1, None]})
    staging.write_bytes("model", b"1")
    staging.write_bytes("model", b"2")
    assert staging.read_json("note") == {"a": [1, None]}
    assert staging.read_bytes("model") == b"2"
    assert staging.exists("model")
    assert not staging.exists("other")


def test_nan_is_not_json(staging: Staging):
    with pytest.raises(ValueError, match="not JSON compliant"):
        staging.write_json("note", float("nan"))


def test_what_is_missing_is_named_with_the_remedy(staging: Staging):
    for read in (staging.read_table, staging.read_json, staging.read_bytes):
        with pytest.raises(
            NotFoundError, match=r"bikes: run 'run-1' has no staged 'x': clear the run from its first task"
        ):
            read("x")


def test_what_is_damaged_is_named_with_the_remedy(staging: Staging):
    staging.write_bytes("x", b"{")
    for read in (staging.read_table, staging.read_json):
        with pytest.raises(IntegrityError, match=r"bikes: staged 'x' of run 'run-1' cannot be read .*clear"):
            read("x")


def test_runs_are_apart_and_cleared_apart(staging: Staging, storage: Storage):
    other = Staging(storage, "bikes", "run-10")
    staging.write_json("note", 1)
    other.write_json("note", 2)
    assert staging.clear() == 1
    assert staging.clear() == 0
    assert other.read_json("note") == 2


def test_rows_are_kept_with_what_could_not_be_read(staging: Staging):
    table = pa.table({"n": range(100_000), "t": ["é"] * 100_000, "nothing": pa.nulls(100_000)})
    rejected = [Rejected("1,2,3", "a.csv:7", "wrong number of fields")]
    assert staging.write_rows("rows", Rows.of(table, rejected)) == 100_000
    kept = staging.read_rows("rows")
    assert kept.table().equals(table)
    assert kept.rejected == rejected


def test_rows_that_end_in_an_error_are_not_kept(staging: Staging):
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"n": [1]})
        raise UnavailableError("gone")

    with pytest.raises(UnavailableError):
        staging.write_rows("rows", Rows(pa.schema([("n", pa.int64())]), batches()))
    assert not staging.exists("rows")


def test_what_other_runs_left_of_a_partition_is_cleared(staging: Staging, storage: Storage):
    other = Staging(storage, "bikes", "run-10")
    for name in ("2024-01-01/valid", "2024-01-02/valid", "model"):
        staging.write_json(name, 1)
        other.write_json(name, 2)
    assert staging.clear_others(["2024-01-01"]) == 1
    assert not other.exists("2024-01-01/valid")
    assert other.exists("2024-01-02/valid")
    assert other.exists("model")
    assert staging.exists("2024-01-01/valid")


@pytest.mark.parametrize("run", ["", "a/b", "..", "A", "a b"])
def test_a_run_is_a_plain_token(storage: Storage, run: str):
    with pytest.raises(ValueError, match="only the letters"):
        Staging(storage, "bikes", run)
