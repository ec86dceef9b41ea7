from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import RefusedError
from evergreen.ingestion.conform import Conformer
from evergreen.lake import Lake, Table
from evergreen.rows.partition_file import PartitionWriter

TIME = pa.timestamp("us", tz="UTC")
PUBLISHED = pa.schema([("a", pa.float64()), ("b", pa.string()), ("n", pa.int32())])


def rows(**changes):
    values = {"a": [1.5], "b": ["x"], "n": pa.array([1], pa.int32())}
    return pa.table({**values, **changes})


def conform(rows, published):
    conformer = Conformer(published, rows.schema)
    return pa.Table.from_batches([conformer.batch(batch) for batch in rows.to_batches()], conformer.schema)


def test_the_columns_come_in_the_published_order():
    shuffled = rows().select(["n", "a", "b"])
    assert conform(shuffled, PUBLISHED).schema == PUBLISHED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"a": [1]}, {"a": 1.0, "b": "x", "n": 1}),
        ({"n": pa.array([7], pa.int64())}, {"a": 1.5, "b": "x", "n": 7}),
        ({"n": [7.0]}, {"a": 1.5, "b": "x", "n": 7}),
        ({"b": pa.nulls(1)}, {"a": 1.5, "b": None, "n": 1}),
        ({"a": pa.nulls(1), "n": pa.nulls(1)}, {"a": None, "b": "x", "n": None}),
    ],
)
def test_another_type_is_taken_where_nothing_is_lost(changes, expected):
    table = conform(rows(**changes), PUBLISHED)
    assert table.schema == PUBLISHED
    assert table.to_pylist() == [expected]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"n": [7.5]}, "column 'n' was int32 and is double"),
        ({"n": [2**40]}, "column 'n' was int32 and is int64"),
        ({"a": [2**53 + 1]}, "column 'a' was double and is int64"),
        ({"a": ["1.5"]}, "column 'a' was double and is string"),
        ({"b": [1]}, "column 'b' was string and is int64"),
        ({"n": [True]}, "column 'n' was int32 and is bool"),
        ({"c": [1]}, "column 'c' is new"),
    ],
)
def test_what_would_be_lost_is_refused_by_name(changes, problem):
    with pytest.raises(RefusedError, match=f"{problem}: fix the source"):
        conform(rows(**changes), PUBLISHED)


def test_every_problem_is_named_at_once():
    offered = rows(c=[1], n=["x"]).drop_columns(["a"])
    with pytest.raises(
        RefusedError, match="column 'a' is missing; column 'c' is new; column 'n' was int32 and is string"
    ):
        conform(offered, PUBLISHED)


def test_before_the_first_publication_a_column_of_unknown_type_is_refused():
    assert conform(rows(), None) == rows()
    with pytest.raises(RefusedError, match="column 'b' has no value in any row"):
        conform(rows(b=pa.nulls(1)), None)


def test_a_batch_of_the_published_shape_is_not_copied():
    batch = rows().to_batches()[0]
    assert Conformer(PUBLISHED, batch.schema, "evolve").batch(batch) is batch


def test_a_value_that_does_not_fit_is_found_in_its_batch():
    offered = pa.schema([("a", pa.int64()), ("b", pa.string()), ("n", pa.float64())])
    conformer = Conformer(PUBLISHED, offered)
    good, bad = (pa.record_batch([[v], ["x"], [float(v)]], schema=offered) for v in (1, 2**60))
    assert conformer.batch(good).to_pylist() == [{"a": 1.0, "b": "x", "n": 1}]
    with pytest.raises(
        RefusedError, match="'a' was double and is int64; column 'n' was int32 and is double: fix"
    ):
        conformer.batch(bad)


class TestIgnoreNew:
    def test_new_columns_are_dropped_and_told(self):
        offered = rows(c=[1], d=pa.nulls(1))
        conformer = Conformer(PUBLISHED, offered.schema, "ignore_new")
        assert conformer.changes == ("column 'c' is new", "column 'd' is new")
        assert conformer.schema == PUBLISHED
        assert conformer.batch(offered.to_batches()[0]).to_pylist() == rows().to_pylist()

    @pytest.mark.parametrize(
        ("offered", "problem"),
        [
            (rows().drop_columns(["a"]), "column 'a' is missing: fix"),
            (rows(c=[1], b=[1]), "column 'b' was string and is int64: fix"),
        ],
    )
    def test_anything_else_is_refused(self, offered, problem):
        with pytest.raises(RefusedError, match=f"^{problem}"):
            Conformer(PUBLISHED, offered.schema, "ignore_new")


class TestEvolve:
    def test_new_columns_come_last_and_missing_ones_are_null(self):
        offered = rows(c=[True]).drop_columns(["b"]).select(["c", "n", "a"])
        conformer = Conformer(PUBLISHED, offered.schema, "evolve")
        assert conformer.changes == ("column 'b' is missing", "column 'c' is new")
        assert conformer.schema == pa.schema([*PUBLISHED, ("c", pa.bool_())])
        (row,) = conformer.batch(offered.to_batches()[0]).to_pylist()
        assert row == {"a": 1.5, "b": None, "n": 1, "c": True}

    def test_a_new_column_without_any_value_waits(self):
        offered = rows(c=pa.nulls(1))
        conformer = Conformer(PUBLISHED, offered.schema, "evolve")
        assert (conformer.schema, conformer.changes) == (PUBLISHED, ("column 'c' is new",))
        assert conformer.batch(offered.to_batches()[0]).equals(rows().to_batches()[0])

    @pytest.mark.parametrize(
        ("published", "offered", "wide"),
        [
            (pa.int32(), pa.int64(), pa.int64()),
            (pa.int32(), pa.float64(), pa.float64()),
            (pa.int64(), pa.float64(), pa.float64()),
            (pa.date32(), TIME, TIME),
            (pa.decimal128(5, 2), pa.decimal128(9, 2), pa.decimal128(9, 2)),
            (pa.decimal128(9, 0), pa.decimal128(5, 4), pa.decimal128(13, 4)),
            (pa.decimal128(5, 2), pa.int32(), pa.decimal128(12, 2)),
            (pa.int64(), pa.decimal128(5, 2), pa.decimal128(21, 2)),
            (pa.list_(pa.int32()), pa.list_(pa.int64()), pa.list_(pa.int64())),
        ],
    )
    def test_a_type_becomes_one_that_holds_both(self, published, offered, wide):
        conformer = Conformer(pa.schema([("x", published)]), pa.schema([("x", offered)]), "evolve")
        assert conformer.schema.field("x").type == wide
        assert conformer.changes == (f"column 'x' was {published} and is {offered}",)
        assert conformer.widened == (("x",) if (published, wide) == (pa.int64(), pa.float64()) else ())

    @pytest.mark.parametrize(
        ("published", "offered"),
        [
            (pa.int64(), pa.int32()),
            (pa.float64(), pa.int64()),
            (TIME, pa.date32()),
            (pa.decimal128(9, 2), pa.decimal128(5, 1)),
            (pa.decimal128(21, 2), pa.int64()),
            (pa.list_(pa.string()), pa.list_(pa.null())),
            (pa.string(), pa.null()),
        ],
    )
    def test_a_type_that_holds_what_is_offered_stays(self, published, offered):
        conformer = Conformer(pa.schema([("x", published)]), pa.schema([("x", offered)]), "evolve")
        assert (conformer.schema.field("x").type, conformer.changes) == (published, ())

    @pytest.mark.parametrize(
        ("published", "offered"),
        [
            (pa.string(), pa.int64()),
            (pa.int64(), pa.bool_()),
            (pa.float64(), pa.decimal128(5, 2)),
            (pa.decimal128(38, 2), pa.decimal128(9, 3)),
            (pa.date32(), pa.string()),
            (pa.list_(pa.string()), pa.string()),
        ],
    )
    def test_types_that_nothing_holds_are_refused(self, published, offered):
        with pytest.raises(RefusedError) as refused:
            Conformer(pa.schema([("x", published)]), pa.schema([("x", offered)]), "evolve")
        assert str(refused.value).startswith(f"column 'x' was {published} and is {offered}: fix")

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (pa.array([1, None], pa.int32()), pa.array([2.5])),
            (pa.array([2**53, -(2**53)]), pa.array([2.5])),
            (pa.array([date(2011, 1, 1)]), pa.array([datetime(2011, 1, 2, 3, tzinfo=UTC)], TIME)),
            (pa.array([Decimal("1.10")]), pa.array([Decimal("12345.678")])),
        ],
    )
    def test_the_lake_reads_what_was_published_before_in_the_wider_type(self, storage, old, new):
        lake = Lake(storage, "p")
        lake.replace(Table.PARTITIONS, {"2011-01-01": pa.table({"x": old})})
        conformer = Conformer(lake.schema(Table.PARTITIONS), pa.schema([("x", new.type)]), "evolve")
        writer = PartitionWriter(conformer.schema)
        writer.write(conformer.batch(pa.record_batch([new], names=["x"])))
        lake.commit(Table.PARTITIONS, {"2011-01-02": writer.finish()}, conformer.schema)
        found = lake.read(Table.PARTITIONS).column("x")
        wide = conformer.schema.field("x").type
        assert found.type == wide
        assert found.to_pylist() == pa.concat_arrays([old.cast(wide), new.cast(wide)]).to_pylist()


SCALARS = {
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9),
    pa.float64(): st.floats() | st.integers(-(2**60), 2**60).map(float),
    pa.decimal128(6, 2): st.decimals(-9999, 9999, places=2),
    pa.decimal128(20, 1): st.decimals(-(10**18), 10**18, places=1),
    pa.date32(): st.dates(),
    TIME: st.datetimes(timezones=st.just(UTC)),
    pa.string(): st.text(max_size=3),
    pa.bool_(): st.booleans(),
}
KINDS = st.sampled_from(list(SCALARS))


@given(KINDS, KINDS, st.data())
def test_no_value_that_is_kept_becomes_another(published, offered, data):
    values = data.draw(st.lists(st.none() | SCALARS[offered]))
    array = pa.array(values, offered)
    for policy in ("refuse", "ignore_new", "evolve"):
        try:
            conformer = Conformer(pa.schema([("x", published)]), pa.schema([("x", offered)]), policy)
            kept = conformer.batch(pa.record_batch([array], names=["x"])).column("x").to_pylist()
        except RefusedError:
            continue
        assert len(kept) == len(values)
        for before, after in zip(values, kept, strict=True):
            assert _as_time(after) == _as_time(before) or (math.isnan(before) and math.isnan(after))


def _as_time(value):
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value
