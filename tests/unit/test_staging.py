from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from evergreen.errors import IntegrityError, NotFoundError
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


@pytest.mark.parametrize("run", ["", "a/b", "..", "A", "a b"])
def test_a_run_is_a_plain_token(storage: Storage, run: str):
    with pytest.raises(ValueError, match="only the letters"):
        Staging(storage, "bikes", run)
