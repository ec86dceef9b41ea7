"""A partition as a file: named by its rows, whatever batches they came in, and whole or not at all."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.rows.partition_file import (
    ROW_GROUP,
    PartitionFile,
    PartitionWriter,
    footer_size,
    read_record,
)
from tests.campaign import examples


def written(rows: pa.Table, cuts: list[int] | None = None, record: dict | None = None) -> PartitionFile:
    writer = PartitionWriter(rows.schema)
    places = [0, *sorted(cuts or []), rows.num_rows]
    for start, end in pairwise(places):
        for batch in rows.slice(start, end - start).to_batches():
            writer.write(batch)
    return writer.finish(record)


def table(count: int) -> pa.Table:
    numbers = np.arange(count)
    return pa.table({"n": numbers, "x": numbers / 7, "t": [f"row {n}" for n in numbers]})


@pytest.fixture(scope="module")
def large() -> tuple[pa.Table, str]:
    rows = table(2 * ROW_GROUP + 10)
    return rows, written(rows).digest


@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 2 * ROW_GROUP + 10), max_size=5))
def test_the_name_does_not_depend_on_the_batches(large: tuple[pa.Table, str], cuts: list[int]):
    rows, digest = large
    file = written(rows, cuts)
    assert file.digest == digest
    assert pa.Table.from_batches(file.batches()).equals(rows)
    assert file.rows == rows.num_rows


def test_no_rows_are_a_file_too():
    file = written(table(3).slice(0, 0))
    assert file.rows == 0
    assert list(file.batches()) == []


def test_it_is_known_by_its_rows():
    rows = table(100)
    assert written(rows).path("2024-01-01") == f"partition=2024-01-01/{written(rows).digest}.parquet"
    assert written(rows).digest != written(rows.slice(1)).digest
    assert written(rows, record={"quarantined": 3}).digest == written(rows).digest


@pytest.mark.parametrize("size", [1, 100_000])
def test_the_record_is_read_from_the_files_end(size: int):
    record = {"rows": 5, "words": "x" * size}
    file = written(table(5), record=record)
    assert file.body is not None
    file.body.seek(0)
    body = file.body.read()
    assert len(body) == file.size
    assert footer_size(body[-8:]) > size
    assert read_record(body[-footer_size(body) :]) == record


def test_a_file_without_a_record_has_an_empty_one():
    file = written(table(5))
    assert file.body is not None
    file.body.seek(0)
    assert read_record(file.body.read()) == {}


def test_texts_that_differ_are_stored_with_their_lengths_apart_and_repeated_ones_together():
    names = [hashlib.md5(str(n).encode()).hexdigest() for n in range(20_000)]
    rows = pa.table({"differ": names, "repeat": ["card", "cash"] * 10_000, "none": [None] * 20_000})
    rows = rows.set_column(2, "none", rows.column("none").cast(pa.string()))
    file = written(rows)
    assert pa.Table.from_batches(file.batches()).equals(rows)
    group = pq.read_metadata(file.body).row_group(0)
    encodings = [set(group.column(at).encodings) for at in range(3)]
    assert ["DELTA_LENGTH_BYTE_ARRAY" in found for found in encodings] == [True, False, False]
