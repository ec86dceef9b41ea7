from __future__ import annotations

import pyarrow as pa
import pytest

from evergreen.errors import RefusedError
from evergreen.ingestion.conform import conform, published_schema
from evergreen.lake import Lake, Table

PUBLISHED = pa.schema([("a", pa.float64()), ("b", pa.string()), ("n", pa.int32())])


def rows(**changes):
    values = {"a": [1.5], "b": ["x"], "n": pa.array([1], pa.int32())}
    return pa.table({**values, **changes})


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
    with pytest.raises(RefusedError, match=f"{problem}: mend the source"):
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


def test_the_published_schema_is_that_of_the_lake(storage):
    lake = Lake(storage, "p")
    assert published_schema(lake) is None
    lake.replace(Table.PARTITIONS, {"2011-01-01": rows()})
    assert published_schema(lake) == PUBLISHED
