from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import SourceError
from evergreen.ingestion.records import records_to_table

TIME = pa.timestamp("us", tz="UTC")


def column(*values):
    return records_to_table([{"x": value} for value in values]).column("x")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((1, 2), pa.float64()),
        ((1.5, 2), pa.float64()),
        ((1, None), pa.float64()),
        ((True, None), pa.bool_()),
        (("a", None), pa.string()),
        (("2011-01-01T00:00:00Z", None), TIME),
        (("2011-01-01T00:00:00Z", "soon"), pa.string()),
        (("2011-01-01",), pa.string()),
        (("2011-01-01T00:00:00",), pa.string()),
        (({"a": 1}, [2]), pa.string()),
        ((None, None), pa.null()),
    ],
)
def test_a_column_has_the_type_of_its_kind(values, kind):
    assert column(*values).type == kind


def test_whole_and_broken_numbers_make_the_same_column():
    assert column(1, 2).type == column(1.5, 2.5).type


def test_times_of_any_offset_are_the_same_instant_in_utc():
    values = ["2011-01-01T02:00:00+02:00", "2011-01-01T00:00:00Z", "2010-12-31T19:00:00.000000-05:00"]
    assert set(column(*values).to_pylist()) == {datetime(2011, 1, 1, tzinfo=UTC)}


def test_a_field_that_a_record_lacks_is_null_there():
    table = records_to_table([{"a": 1, "b": "x"}, {"a": 2}, {"c": True}])
    assert table.to_pylist() == [
        {"a": 1.0, "b": "x", "c": None},
        {"a": 2.0, "b": None, "c": None},
        {"a": None, "b": None, "c": True},
    ]


def test_nan_is_no_value():
    assert column(float("nan"), 1).to_pylist() == [None, 1.0]
    assert column(float("nan"), "a").to_pylist() == [None, "a"]


def test_objects_and_lists_are_kept_as_json_whatever_the_order_of_their_keys():
    assert column({"b": 1, "a": [2]}, [3]).to_pylist() == ['{"a": [2], "b": 1}', "[3]"]


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ((1, "a"), "numbers and text"),
        ((True, 1), "numbers and truth values"),
        (({}, "a"), "objects and text"),
    ],
)
def test_a_field_of_two_kinds_is_refused_by_name(values, kinds):
    with pytest.raises(SourceError, match=f"field 'x' holds {kinds}"):
        column(*values)


def test_a_number_too_large_to_be_exact_is_refused_by_name():
    assert column(2**53).to_pylist() == [float(2**53)]
    with pytest.raises(SourceError, match="field 'x' holds a whole number beyond"):
        column(2**53 + 1)


json_values = st.one_of(
    st.lists(st.none() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False)),
    st.lists(st.none() | st.booleans()),
    st.lists(st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"]))),
)


@given(json_values)
def test_values_come_through_as_they_were(values):
    records = json.loads(json.dumps([{"x": value} for value in values]))
    table = records_to_table(records)
    expected = [record["x"] for record in records]
    assert (table.column("x").to_pylist() if values else []) == expected


@given(st.lists(st.datetimes(), min_size=1), st.integers(-12, 14))
def test_times_come_through_as_they_were(moments, offset):
    zone = timezone(timedelta(hours=offset))
    times = [moment.replace(tzinfo=zone) for moment in moments]
    assert column(*(time.isoformat() for time in times)).to_pylist() == times
