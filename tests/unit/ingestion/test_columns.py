from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest

from evergreen.errors import SourceError
from evergreen.ingestion.columns import normalise, whole

TIME = pa.timestamp("us", tz="UTC")
MOMENT = datetime(2011, 1, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("array", "kind", "value"),
    [
        (pa.array([MOMENT], pa.timestamp("s")), TIME, MOMENT),
        (pa.array([MOMENT], pa.timestamp("ns")), TIME, MOMENT),
        (pa.array([MOMENT], pa.timestamp("us", tz="+02:00")), TIME, MOMENT),
        (pa.array([Decimal("1.50")]), pa.float64(), 1.5),
        (pa.array([1.5], pa.float32()), pa.float64(), 1.5),
        (pa.array([7], pa.uint8()), pa.float64(), 7.0),
        (pa.array([7], pa.int16()), pa.int16(), 7),
        (pa.array(["a"], pa.large_string()), pa.string(), "a"),
        (pa.array(["a"]).dictionary_encode(), pa.string(), "a"),
        (pa.array([time(5)], pa.time32("s")), pa.string(), "05:00:00"),
        (pa.array([date(2011, 1, 1)]), pa.date32(), date(2011, 1, 1)),
        (pa.array([True]), pa.bool_(), True),
        (pa.nulls(1), pa.null(), None),
        (pa.array(["1.5"]).view(pa.string()), pa.string(), "1.5"),
    ],
)
def test_each_type_has_its_place(array, kind, value):
    table = normalise(pa.table({"x": array}))
    assert table.schema.field("x").type == kind
    assert table.column("x").to_pylist() == [value]


def numeric(*values):
    kind = pa.opaque(pa.string(), "numeric", "PostgreSQL")
    return pa.ExtensionArray.from_storage(kind, pa.array(values, pa.string()))


def test_numeric_that_arrives_as_text_is_a_number():
    table = normalise(pa.table({"x": numeric("1.50", None, "-12345678901234.5", "NaN")}))
    assert table.schema.field("x").type == pa.float64()
    values = table.column("x").to_pylist()
    assert values[:3] == [1.5, None, -12345678901234.5]
    assert values[3] != values[3]


def test_without_whole_numbers_integers_are_float64():
    assert normalise(pa.table({"x": [1, 2]}), whole_numbers=False).column("x").to_pylist() == [1.0, 2.0]
    with pytest.raises(SourceError, match="column 'x' cannot be read as double"):
        normalise(pa.table({"x": [2**53 + 1]}), whole_numbers=False)


@pytest.mark.parametrize("array", [pa.array([[1]]), pa.array([b"a"]), pa.array([{"a": 1}])])
def test_a_type_without_a_place_is_refused_by_name(array):
    with pytest.raises(SourceError, match=r"column 'x' is of type .*leave it out or turn it into"):
        normalise(pa.table({"x": array}))


def test_names_that_the_lake_cannot_have():
    with pytest.raises(SourceError, match="column 'a' comes more than once"):
        normalise(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]))
    with pytest.raises(SourceError, match="column 'partition' has the name of the lake's own"):
        normalise(pa.table({"partition": [1]}))


def test_a_table_without_columns_stays_one():
    assert normalise(pa.table({})).num_columns == 0


def test_whole_touches_only_named_columns_that_hold_whole_numbers():
    table = whole(
        pa.table({"a": [1.0, None], "b": [1.5, 2.0], "c": [1.0, 2.0], "d": ["1", "2"]}), {"a", "b", "d"}
    )
    assert table.schema.types == [pa.int64(), pa.float64(), pa.float64(), pa.string()]
    assert table.column("a").to_pylist() == [1, None]
