from __future__ import annotations

import tracemalloc
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.rows import keys
from evergreen.rows.keys import KeySet

TIME = pa.timestamp("us", tz="UTC")


def found(names, *batches):
    seen = KeySet(names)
    for batch in batches:
        seen.add(batch)
    return seen.check()


def batch(**columns):
    return pa.record_batch(columns)


def test_different_keys_are_no_offence():
    result = found(["k"], batch(k=[3, 1], x=[0, 0]), batch(k=[2, -1], x=[0, 0]))
    assert (result.rows, result.nulls, result.null_rows) == (4, {"k": 0}, 0)
    assert (result.repeated, result.repeated_keys, result.examples) == (0, 0, ())


def test_no_rows_have_nothing_to_tell():
    assert (found(["k"]).rows, found(["k"]).nulls) == (0, {"k": 0})
    assert found(["k"], batch(k=pa.array([], pa.string()))).repeated == 0


def test_a_key_comes_twice_though_in_other_batches_and_the_smallest_are_told():
    result = found(["k"], *[batch(k=[number, -7, number + 10]) for number in (5, 4, 5)])
    assert (result.repeated, result.repeated_keys) == (7, 3)
    assert result.examples == ("-7 (3 rows)", "5 (2 rows)", "15 (2 rows)")


@pytest.mark.parametrize(
    ("values", "kind", "text"),
    [
        ([True, False, True], pa.bool_(), "True (2 rows)"),
        ([2**62, 2**62 + 1, 2**62], pa.int64(), f"{2**62} (2 rows)"),
        ([-3, 3, -3], pa.int8(), "-3 (2 rows)"),
        ([2**64 - 1, 3, 2**64 - 1], pa.uint64(), f"{2**64 - 1} (2 rows)"),
        ([0.0, 1.5, -0.0], pa.float64(), "0.0 (2 rows)"),
        ([date(1066, 10, 14), date(2011, 1, 1), date(1066, 10, 14)], pa.date32(), "1066-10-14 (2 rows)"),
        (
            [datetime(1969, 1, 1, tzinfo=UTC), datetime(2011, 1, 1, tzinfo=UTC)] * 2,
            TIME,
            "1969-01-01 00:00:00+00:00 (2 rows)",
        ),
        (["", "x" * 8, "x" * 9, "x" * 9], pa.string(), f"{'x' * 9} (2 rows)"),
        (["", "a", ""], pa.string(), " (2 rows)"),
        ([Decimal("1.10"), Decimal("1.11"), Decimal("1.10")], pa.decimal128(9, 2), "1.10 (2 rows)"),
        ([[1, 2], [1], [1, 2]], pa.list_(pa.int64()), "[1, 2] (2 rows)"),
    ],
)
def test_every_type_of_the_lake_can_be_a_key(values, kind, text):
    assert found(["k"], batch(k=pa.array(values, kind))).examples[0] == text


def test_several_columns_are_one_key():
    rows = batch(a=[1, 1, 2, 1], b=["x", "y", "x", "x"])
    result = found(["a", "b"], rows)
    assert (result.repeated, result.examples) == (2, ("1, x (2 rows)",))


def test_a_row_without_a_part_of_its_key_is_null_and_repeats_nothing():
    rows = batch(a=[1.0, None, float("nan"), 1.0, 2.0], b=["x", "y", "y", None, None])
    result = found(["a", "b"], rows)
    assert (result.nulls, result.null_rows, result.repeated) == ({"a": 2, "b": 2}, 4, 0)
    assert found(["a"], rows).repeated == 2


def test_a_column_that_is_not_there_or_has_no_type_is_null_in_every_row():
    result = found(["k", "l"], batch(l=pa.nulls(2), x=[1, 2]))
    assert (result.nulls, result.null_rows) == ({"k": 2, "l": 2}, 2)


def test_different_keys_of_one_hash_are_told_apart():
    # The hash of two words can be turned round: b is chosen so that (1, 0) and (2, b) are a true collision.
    nothing = np.zeros(1, np.uint64)
    one, two = (keys._mixed(nothing, np.array([a], np.uint64)) for a in (1, 2))
    b = int((one ^ two).view(np.int64)[0])
    rows = batch(a=[1, 2, 3], b=[0, b, 0])
    hashes = keys._codes(rows)
    assert hashes[0] == hashes[1] != hashes[2]
    assert found(["a", "b"], rows).repeated == 0
    result = found(["a", "b"], rows, batch(a=[2], b=[b]))
    assert (result.repeated, result.examples) == (2, (f"2, {b} (2 rows)",))


def test_more_keys_than_memory_is_meant_for_lie_in_a_file_and_are_looked_at_in_parts(monkeypatch):
    monkeypatch.setattr(keys, "_IN_MEMORY", 1000)
    monkeypatch.setattr(keys, "_TOGETHER", 50)
    seen = KeySet(["k"])
    for start in range(0, 1000, 100):
        seen.add(batch(k=[f"key {n // 2:04}" for n in range(start, start + 100)]))
    assert seen._kept._spill is not None
    for _ in range(2):
        result = seen.check()
        assert (result.repeated, result.repeated_keys) == (1000, 500)
        assert result.examples == ("key 0000 (2 rows)", "key 0001 (2 rows)", "key 0002 (2 rows)")
    seen.add(batch(k=["key 0000"]))
    assert seen.check().examples[0] == "key 0000 (3 rows)"


def test_a_row_costs_a_few_bytes_whatever_its_key():
    tracemalloc.start()
    rows, parts = 200_000, 20
    seen = KeySet(["k"])
    for part in range(parts):
        numbers = np.arange(part, rows, parts)
        seen.add(batch(k=pa.array([f"a rather long key of one row {n}" for n in numbers.tolist()])))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    assert seen.check().repeated == 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"{held / rows:.1f} bytes a row, {peak / rows:.1f} while they are checked")
    assert held < 9 * rows
    assert peak < 20 * rows


VALUES = {
    pa.int64(): st.sampled_from([0, 1, -1, 2**62, -(2**63)]),
    pa.float64(): st.sampled_from([0.0, 0.5, -1e300, float("inf"), float("nan")]),
    pa.string(): st.sampled_from(["", "a", "aaaaaaaa", "aaaaaaaab", "é\0", "\0"]),
    pa.bool_(): st.booleans(),
    TIME: st.integers(0, 2).map(lambda hours: datetime(2011, 1, 1, tzinfo=UTC) + timedelta(hours=hours)),
    pa.decimal128(5, 2): st.sampled_from([Decimal("1.00"), Decimal("-1.00")]),
}


@given(st.data())
def test_what_is_found_is_what_a_count_of_all_keys_finds(data):
    kinds = data.draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=3))
    names = [f"k{number}" for number in range(len(kinds))]
    parts = data.draw(
        st.lists(st.lists(st.tuples(*[st.none() | VALUES[kind] for kind in kinds])), max_size=4)
    )
    schema = pa.schema(list(zip(names, kinds, strict=True)))
    result = found(
        names,
        *[
            pa.RecordBatch.from_pylist([dict(zip(names, row, strict=True)) for row in p], schema)
            for p in parts
        ],
    )
    rows = [row for part in parts for row in part]
    whole = [row for row in rows if all(value is not None and value == value for value in row)]
    counts = {key: count for key, count in Counter(whole).items() if count > 1}
    assert (result.rows, result.null_rows) == (len(rows), len(rows) - len(whole))
    assert (result.repeated, result.repeated_keys) == (sum(counts.values()), len(counts))
    assert len(result.examples) == min(3, len(counts))
    for example in result.examples:
        assert example in {f"{', '.join(map(str, key))} ({count} rows)" for key, count in counts.items()}
