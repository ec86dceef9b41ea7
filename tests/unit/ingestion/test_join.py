from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import RefusedError, SourceError, SpecError
from evergreen.ingestion.join import join_sources
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


def test_one_source_is_itself_sorted_by_key():
    assert join_sources(spec(sources=("a",)), {"a": a(2, 1)}).column("id").to_pylist() == [1, 2]


def test_columns_of_the_right_come_without_its_key():
    rows = join_sources(spec(join()), {"a": a(2, 1), "b": b(1, 2)})
    assert rows.to_pylist() == [{"id": 1, "x": "a1", "y": "b1"}, {"id": 2, "x": "a2", "y": "b2"}]


def test_a_left_row_without_a_match_is_kept_with_nulls_or_dropped_by_inner():
    sources = {"a": a(1, 2), "b": b(2, 3)}
    assert join_sources(spec(join()), sources).column("y").to_pylist() == [None, "b2"]
    assert join_sources(spec(join(how="inner")), sources).column("id").to_pylist() == [2]


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
        with pytest.raises(RefusedError, match=r": 1 \(2 rows\); 2 \(2 rows\); 3 \(2 rows\): mend"):
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


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)), st.randoms())
def test_the_order_of_the_sources_rows_does_not_matter(ids, matching, random):
    left, right = sorted(ids), sorted(matching)
    expected = join_sources(spec(join()), {"a": a(*left), "b": b(*right)})
    random.shuffle(left)
    random.shuffle(right)
    assert join_sources(spec(join()), {"a": a(*left), "b": b(*right)}).equals(expected)
