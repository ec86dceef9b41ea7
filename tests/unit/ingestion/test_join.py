from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import RefusedError, SourceError, SpecError
from evergreen.ingestion import join as joining
from evergreen.rows.batches import Rejected, Rows
from evergreen.rows.blocks import BLOCK
from evergreen.spec import Spec


def spec(*joins, sources=("a", "b"), key=("id",)):
    return Spec(
        name="p",
        description="-",
        owner="-",
        schedule="@daily",
        partition="snapshot",
        sources={name: {"file": {"path": f"{name}.csv"}} for name in sources},
        join=joins,
        key=key,
        task="clustering",
        training={"metric": "silhouette", "candidates": [{"estimator": "sklearn.cluster.KMeans"}]},
        folder=Path("/pipelines/p"),
    )


def join(left="a", right="b", on=None, **more):
    return {"left": left, "right": right, "on": on or {"id": "number"}, **more}


def a(*ids):
    return pa.table({"id": pa.array(ids, pa.int64()), "x": [f"a{i}" for i in ids]})


def b(*numbers):
    return pa.table({"number": pa.array(numbers, pa.int64()), "y": [f"b{i}" for i in numbers]})


def join_sources(described, tables):
    """The join of tables, each cut into batches of two rows, as one table."""
    sources = {name: Rows(table.schema, table.to_batches(max_chunksize=2)) for name, table in tables.items()}
    return joining.join_sources(described, sources).table()


def test_one_source_is_itself():
    rows = Rows.of(a(2, 1))
    assert joining.join_sources(spec(sources=("a",)), {"a": rows}) is rows


def test_columns_of_the_right_come_without_its_key_in_the_order_of_the_left():
    rows = join_sources(spec(join()), {"a": a(2, 1), "b": b(1, 2)})
    assert rows.to_pylist() == [{"id": 2, "x": "a2", "y": "b2"}, {"id": 1, "x": "a1", "y": "b1"}]


def test_a_left_row_without_a_match_is_kept_with_nulls():
    sources = {"a": a(1, 2), "b": b(2, 3)}
    assert join_sources(spec(join()), sources).column("y").to_pylist() == [None, "b2"]


def test_an_inner_join_takes_what_matches_and_drops_nothing():
    described = spec(join(how="inner"))
    assert join_sources(described, {"a": a(2, 1), "b": b(1, 2, 3)}).column("id").to_pylist() == [2, 1]
    with pytest.raises(
        RefusedError,
        match=r"source 'a': 4 rows have no match in 'b' by id, and 'how: inner' .*: 9; 7; 5: fix",
    ):
        join_sources(described, {"a": a(9, 1, 7, 5, 3), "b": b(1, 2)})


def test_null_and_nan_match_nothing_and_repeat_nothing():
    left = pa.table({"id": [None, float("nan"), None, 1.0], "x": [0, 1, 2, 3]})
    right = pa.table({"number": [None, float("nan"), None, 1.0], "y": [5, 6, 7, 8]})
    sources = {"a": left, "b": right}
    assert join_sources(spec(join()), sources).column("y").to_pylist() == [None, None, None, 8]
    with pytest.raises(RefusedError, match=r"3 rows have no match in 'b' by id.*: None; nan; None: fix"):
        join_sources(spec(join(how="inner")), sources)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (pa.array([1, 2, 2**60], pa.int64()), pa.array([2.0, 2.5, 2.0**60], pa.float64())),
        (pa.array([-0.0, 2.0, 2.0**60]), pa.array([2, 1, 2**60], pa.int64())),
        (pa.array([1.5, 2.0, -0.0]), pa.array([2.0, 2.5, 0.0])),
        (pa.array([1, 2, 3], pa.int16()), pa.array([2, 9, 3], pa.int64())),
        (pa.array([1, 2, 3]), pa.array([Decimal("2.00"), Decimal("1.01"), Decimal(3)])),
        (
            pa.array([Decimal("1.10"), Decimal("2.5"), Decimal("2.75")]),
            pa.array([Decimal("2.500"), 0, Decimal("2.75")]),
        ),
    ],
)
def test_numbers_of_two_types_are_equal_if_their_values_are(left, right):
    sources = {"a": pa.table({"id": left}), "b": pa.table({"number": right, "y": [0, 1, 2]})}
    rows = join_sources(spec(join()), sources)
    assert rows.column("y").to_pylist() == [None, 0, 2]
    assert rows.schema.field("id").type == left.type


def test_a_whole_number_is_equal_to_no_float_that_is_only_near():
    sources = {
        "a": a(2**53 + 1, 2**63 - 1, -(2**63)),
        "b": pa.table({"number": [2.0**53, 2.0**63, -(2.0**63)], "y": [1, 2, 3]}),
    }
    assert join_sources(spec(join()), sources).column("y").to_pylist() == [None, None, 3]


def test_the_left_streams_and_all_sources_are_closed():
    read, closed = [], []

    def batches():
        try:
            for number in range(9):
                read.append(number)
                yield from a(*range(number * 100_000, (number + 1) * 100_000)).select(["id"]).to_batches()
        finally:
            closed.append(True)

    left = Rows(pa.schema([("id", pa.int64())]), batches())
    rows = joining.join_sources(spec(join()), {"a": left, "b": Rows.of(b(1))})
    assert read == []
    assert next(iter(rows)).num_rows == BLOCK
    assert len(read) == 2
    rows.close()
    assert closed == [True]


def test_sources_are_closed_when_the_join_is_impossible():
    closed = []

    class Batches(list):
        def close(self):
            closed.append(True)

    sources = {"a": Rows(a().schema, Batches()), "b": Rows(b().schema, Batches())}
    with pytest.raises(SourceError, match="no column 'nobody'"):
        joining.join_sources(spec(join(on={"nobody": "number"})), sources)
    assert closed == [True, True]


def test_rejected_records_of_all_sources_are_carried_over():
    left, right = Rows.of(a(1)), Rows.of(b(1), [Rejected("r", "b.csv:7", "not")])

    def batches():
        yield from a(1).to_batches()
        left.rejected.append(Rejected("l", "a.csv:3", "no row"))

    left.batches = batches()
    rows = joining.join_sources(spec(join()), {"a": left, "b": right})
    kept = rows.rejected
    rows.table()
    assert [one.place for one in kept] == ["a.csv:3", "b.csv:7"]


def test_several_keys_must_all_be_equal():
    left = pa.table({"id": [1, 1], "z": ["u", "v"]})
    right = pa.table({"id": [1, 1], "w": ["v", "u"], "y": [10, 20]})
    rows = join_sources(spec(join(on={"id": "id", "z": "w"}), key=("id", "z")), {"a": left, "b": right})
    assert rows.to_pylist() == [{"id": 1, "z": "u", "y": 20}, {"id": 1, "z": "v", "y": 10}]


def test_three_sources_one_after_the_other():
    sources = {"a": a(1), "b": b(1), "c": pa.table({"no": [1], "q": [0.5]})}
    joins = (join(), join(right="c", on={"id": "no"}))
    rows = join_sources(spec(*joins, sources=("a", "b", "c")), sources)
    assert rows.to_pylist() == [{"id": 1, "x": "a1", "y": "b1", "q": 0.5}]


def test_a_column_without_any_value_is_no_obstacle():
    right = pa.table({"number": [1], "y": pa.nulls(1)})
    assert join_sources(spec(join()), {"a": a(1), "b": right}).column("y").to_pylist() == [None]


class TestCardinality:
    def test_a_key_twice_on_the_right_is_named(self):
        with pytest.raises(RefusedError, match=r"source 'b': 1 values of number come more than once.*2 \(3"):
            join_sources(spec(join(expect="many_to_one")), {"a": a(1, 2), "b": b(1, 2, 2, 2)})

    def test_a_key_twice_on_the_left_is_right_for_many_to_one_only(self):
        sources = {"a": a(1, 1, 2), "b": b(1, 2)}
        rows = join_sources(spec(join(expect="many_to_one")), sources)
        assert rows.column("y").to_pylist() == ["b1", "b1", "b2"]
        with pytest.raises(RefusedError, match=r"source 'a': 1 values of id .*'expect: one_to_one': 1"):
            join_sources(spec(join()), sources)

    def test_only_the_first_three_keys_are_named(self):
        with pytest.raises(RefusedError, match=r"5 values.*: 1 \(2 rows\); 2 \(2 rows\); 3 \(2 rows\): fix"):
            join_sources(spec(join()), {"a": a(*[*range(5, 0, -1)] * 2), "b": b(1)})


class TestColumns:
    def test_a_missing_one_is_named_with_those_there(self):
        with pytest.raises(
            SourceError, match=r"source 'b' has no column 'hour' to join on \(there: number, y"
        ):
            join_sources(spec(join(on={"id": "hour"})), {"a": a(1), "b": b(1)})

    def test_a_right_side_without_rows_and_columns_is_refused(self):
        with pytest.raises(RefusedError, match="source 'b' gave no rows: check the source"):
            join_sources(spec(join()), {"a": a(1), "b": pa.table({})})

    def test_a_right_side_without_rows_gives_nulls(self):
        assert join_sources(spec(join()), {"a": a(1), "b": b()}).num_rows == 1

    def test_a_left_side_without_rows_and_columns_is_refused(self):
        with pytest.raises(RefusedError, match="source 'a' gave no rows: check the source"):
            join_sources(spec(join()), {"a": pa.table({}), "b": b(1)})

    def test_a_key_without_any_value_matches_nothing(self):
        right = pa.table({"number": pa.nulls(2), "y": [1, 2]})
        for left in (a(1), pa.table({"id": ["x"]}), pa.table({"id": pa.nulls(1)})):
            assert join_sources(spec(join()), {"a": left, "b": right}).column("y").to_pylist() == [None]

    @pytest.mark.parametrize(
        "kind", [pa.bool_(), pa.date32(), pa.timestamp("us", "UTC"), pa.decimal128(21, 2)]
    )
    def test_a_key_may_be_of_any_plain_type(self, kind):
        keys = pa.array([0, 1], pa.int32()).cast(pa.int64() if kind != pa.date32() else pa.int32()).cast(kind)
        sources = {"a": pa.table({"id": keys}), "b": pa.table({"number": keys[::-1], "y": [1, 2]})}
        assert join_sources(spec(join()), sources).column("y").to_pylist() == [2, 1]

    def test_lists_are_no_keys(self):
        sources = {"a": pa.table({"id": [[1]]}), "b": pa.table({"number": [[1]], "y": [1]})}
        with pytest.raises(SourceError, match="one type that is no list"):
            join_sources(spec(join()), sources)

    def test_keys_of_two_types_are_refused(self):
        right = pa.table({"number": ["1"], "y": [1]})
        with pytest.raises(SourceError, match=r"'a.id' is int64 and 'b.number' is string: .*one type"):
            join_sources(spec(join()), {"a": a(1), "b": right})

    def test_a_name_on_both_sides_is_refused(self):
        with pytest.raises(SourceError, match="sources 'a' and 'b' both have the column 'x'"):
            join_sources(spec(join()), {"a": a(1), "b": pa.table({"number": [1], "x": [1]})})


@pytest.mark.parametrize(
    "joins",
    [
        (join(), join()),
        (join("b", "c"), join("a", "b")),
        (join(), join("c", "a")),
    ],
)
def test_joins_that_would_leave_a_source_out_are_refused(joins):
    sources = {"a": a(1), "b": b(1), "c": pa.table({"number": [1], "id": [2]})}
    with pytest.raises(SpecError, match=r"pipeline\.yaml: join\.1: .*change the order"):
        join_sources(spec(*joins, sources=("a", "b", "c")), sources)


numbers = st.lists(st.integers(0, 20), max_size=30)


@given(numbers, st.sets(st.integers(0, 20)))
def test_no_row_of_the_left_is_lost_or_doubled(ids, matching):
    rows = join_sources(spec(join(expect="many_to_one")), {"a": a(*ids), "b": b(*matching)})
    assert Counter(rows.column("id").to_pylist()) == Counter(ids)
    for row in rows.to_pylist():
        assert row["x"] == f"a{row['id']}"
        assert row["y"] == (f"b{row['id']}" if row["id"] in matching else None)


parts = st.tuples(
    st.none() | st.integers(0, 3), st.none() | st.sampled_from("xyz"), st.none() | st.booleans()
)


@given(st.lists(parts), st.sets(parts))
def test_several_keys_find_what_a_dictionary_finds(lefts, rights):
    kinds = (pa.int64(), pa.string(), pa.bool_())
    left = pa.table(
        [pa.array([key[n] for key in lefts], kinds[n]) for n in range(3)], names=["id", "l1", "l2"]
    )
    right = pa.table(
        [
            *(pa.array([key[n] for key in rights], kinds[n]) for n in range(3)),
            pa.array(range(len(rights)), pa.int64()),
        ],
        names=["r0", "r1", "r2", "y"],
    )
    on = {"id": "r0", "l1": "r1", "l2": "r2"}
    rows = join_sources(spec(join(on=on, expect="many_to_one")), {"a": left, "b": right})
    places = {key: number for number, key in enumerate(rights) if None not in key}
    assert rows.column("y").to_pylist() == [places.get(key) for key in lefts]
    assert rows.select(left.column_names).equals(left)
