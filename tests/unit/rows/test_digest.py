"""The digest of rows: of their values, and of nothing else."""

from __future__ import annotations

from datetime import UTC, date
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.rows.digest import RowsDigest

TYPES: dict[pa.DataType, st.SearchStrategy] = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    pa.date32(): st.dates(),
    pa.timestamp("us", tz="UTC"): st.datetimes(timezones=st.just(UTC)),
    pa.decimal128(12, 2): st.decimals(-1000, 1000, places=2),
    pa.list_(pa.string()): st.lists(st.none() | st.text("ab", max_size=2), max_size=3),
    pa.list_(pa.struct({"name": pa.string(), "value": pa.float64()})): st.lists(
        st.none()
        | st.fixed_dictionaries({"name": st.none() | st.text("ab", max_size=2), "value": st.just(0.5)}),
        max_size=3,
    ),
    pa.null(): st.nothing(),
}


def digest(rows: pa.RecordBatch) -> str:
    found = RowsDigest(rows.schema)
    found.add(rows)
    return found.hexdigest()


@st.composite
def columns(draw: st.DrawFn) -> tuple[pa.DataType, list]:
    kind = draw(st.sampled_from(list(TYPES)))
    return kind, draw(st.lists(st.none() | TYPES[kind], max_size=12))


def batch(kind: pa.DataType, values: list) -> pa.RecordBatch:
    return pa.record_batch({"x": pa.array(values, kind)})


@given(columns(), st.integers(0, 5), st.integers(0, 5))
def test_how_the_rows_lie_in_memory_does_not_matter(
    column: tuple[pa.DataType, list], before: int, after: int
):
    kind, values = column
    plain = batch(kind, values)
    padding = [values[0]] if values else [None]
    sliced = batch(kind, padding * before + values + padding * after).slice(before, len(values))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches([plain]), sink)
    stored = pq.read_table(pa.BufferReader(sink.getvalue())).combine_chunks().to_batches()
    assert digest(sliced) == digest(plain)
    assert [digest(one) for one in stored] == ([digest(plain)] if values else [])


@given(columns(), st.data())
def test_another_value_makes_another_digest(column: tuple[pa.DataType, list], data: st.DataObject):
    kind, values = column
    if not values or kind == pa.null():
        return
    place = data.draw(st.integers(0, len(values) - 1))
    other = data.draw((st.none() | TYPES[kind]).filter(lambda value: value != values[place]))
    changed = batch(kind, [*values[:place], other, *values[place + 1 :]])
    assert (digest(changed) == digest(batch(kind, values))) == changed.equals(batch(kind, values))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array(["ab", "c"]), pa.array(["a", "bc"])),
        (pa.array(["", None]), pa.array([None, ""])),
        (pa.array([0, None]), pa.array([None, 0])),
        (pa.array([[1], [2, 3]]), pa.array([[1, 2], [3]])),
        (pa.array([[], None], pa.list_(pa.int64())), pa.array([None, []], pa.list_(pa.int64()))),
        (pa.array([1], pa.int64()), pa.array([1], pa.int32())),
        (pa.array([date(2024, 1, 1)]), pa.array([date(2024, 1, 2)])),
        (pa.array([Decimal("1.10")]), pa.array([Decimal("1.01")])),
    ],
)
def test_rows_that_look_alike_are_told_apart(one: pa.Array, other: pa.Array):
    assert digest(pa.record_batch({"x": one})) != digest(pa.record_batch({"x": other}))


def test_a_columns_name_matters():
    assert digest(pa.record_batch({"x": [1]})) != digest(pa.record_batch({"y": [1]}))
