"""Blocks: the same rows, however the source cuts them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from evergreen.rows.batches import Rejected, Rows
from evergreen.rows.blocks import begun, blocks

SCHEMA = pa.schema([("k", pa.int64()), ("n", pa.int64())])


def rows(cuts: list[int]) -> Rows:
    batches = []
    count = 0
    for size in cuts:
        numbers = range(count, count + size)
        batches.append(pa.record_batch({"k": [-n for n in numbers], "n": list(numbers)}, SCHEMA))
        count += size
    return Rows(SCHEMA, iter(batches), [Rejected("x", "f:1", "no")])


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 12))
def test_every_row_is_in_one_block_of_the_size_asked_for(cuts: list[int], size: int):
    found = list(blocks(rows(cuts), ["k"], size))
    total = sum(cuts)
    assert [block.num_rows for block in found[:-1]] == [size] * (len(found) - 1)
    assert sorted(n for block in found for n in block.column("n").to_pylist()) == list(range(total))
    if total <= size:
        assert [n for block in found for n in block.column("k").to_pylist()] == sorted(
            -n for n in range(total)
        )
    else:
        assert [n for block in found for n in block.column("n").to_pylist()] == list(range(total))


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 30))
def test_rows_that_were_begun_are_the_same_rows(cuts: list[int], size: int):
    read = begun(rows(cuts), size)
    assert read.table().equals(rows(cuts).table())
    assert read.rejected == rows(cuts).rejected


def test_a_read_that_was_begun_and_is_given_up_frees_its_source():
    closed = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for n in range(9):
                yield pa.record_batch({"k": [n], "n": [n]}, SCHEMA)
        finally:
            closed.append(True)

    begun(Rows(SCHEMA, batches()), 3).close()
    assert closed == [True]
