from __future__ import annotations

import hashlib
import json
import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.lake import Lake, Table
from evergreen.validation.quarantine import (
    QUARANTINE,
    Quarantined,
    fitted,
    read_quarantine,
    restore,
    row_id,
    to_text,
)

TIME = pa.timestamp("us", tz="UTC")
VALUES = {
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-(2**7), 2**7 - 1),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(),
    pa.string(): st.text() | st.sampled_from(["nan", "null", "", "2011-01-01", '"', "\0"]),
    pa.date32(): st.dates(),
    TIME: st.datetimes(timezones=st.just(UTC)),
    pa.decimal128(9, 2): st.decimals("-9999999.99", "9999999.99", places=2),
    pa.decimal128(38, 10): st.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: Decimal(f"{n}E-10")),
}
LISTS = {pa.list_(kind): st.lists(st.none() | values, max_size=3) for kind, values in VALUES.items()}


def field(kind):
    return pa.field("x", kind)


def exact(row):
    return repr(row).replace("zoneinfo.ZoneInfo(key='UTC')", "datetime.timezone.utc")


@given(st.data())
def test_every_type_of_the_lake_comes_back_as_it_was(data):
    kinds = data.draw(st.lists(st.sampled_from([*VALUES, *LISTS]), min_size=1, max_size=6))
    schema = pa.schema([(f"c{number} é", kind) for number, kind in enumerate(kinds)])
    row = {f.name: data.draw(st.none() | {**VALUES, **LISTS}[f.type]) for f in schema}
    (stored,) = pa.Table.from_pylist([row], schema).to_pylist()
    text = to_text(stored)
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    restored = restore(text, schema)
    assert list(restored) == schema.names
    # To the bit: NaN is itself, and -0.0 is not 0.0.
    assert exact(restored) == exact(stored)
    assert pa.Table.from_pylist([restored], schema).schema == schema
    assert to_text(restored) == text


def test_the_text_is_readable_json():
    row = {
        "at": datetime(2011, 1, 1, 5, tzinfo=UTC),
        "day": date(2011, 1, 1),
        "n": 2**53 + 1,
        "x": math.inf,
        "paid": Decimal("1.10"),
        "who": "José",
        "tags": ["a", None],
        "gone": None,
    }
    assert to_text(row) == (
        '{"at": "2011-01-01T05:00:00+00:00", "day": "2011-01-01", "n": 9007199254740993, "x": "inf", '
        '"paid": "1.10", "who": "José", "tags": ["a", null], "gone": null}'
    )


def test_a_row_is_restored_in_the_columns_there_are_now():
    schema = pa.schema([("n", pa.float64()), ("new", pa.string()), ("at", TIME)])
    text = to_text({"n": 7, "dropped": True, "at": date(2011, 1, 1)})
    assert restore(text, schema) == {"n": 7.0, "new": None, "at": datetime(2011, 1, 1, tzinfo=UTC)}


@pytest.mark.parametrize("text", ["", "7", "[1]", "2011-01-01,abc", "null", "[" * 100_000])
def test_text_that_is_no_row_is_told(text):
    with pytest.raises(ValueError, match="the text is no row"):
        restore(text, pa.schema([("n", pa.int64())]))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (pa.int64(), 7.0, 7),
        (pa.float64(), 7, 7.0),
        (pa.float64(), Decimal("0.1"), 0.1),
        (pa.decimal128(5, 2), 1.1, Decimal("1.10")),
        (pa.decimal128(5, 2), "1.1", Decimal("1.10")),
        (TIME, "2011-01-01T05:00:00", datetime(2011, 1, 1, 5, tzinfo=UTC)),
        (TIME, "2011-01-01T05:00:00+02:00", datetime(2011, 1, 1, 3, tzinfo=UTC)),
        (pa.list_(pa.int64()), [1, None], [1, None]),
    ],
)
def test_people_may_write_a_value_in_other_ways(kind, value, expected):
    found = fitted(field(kind), value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (pa.int64(), 7.5, "7.5"),
        (pa.int64(), "7", '"7"'),
        (pa.int64(), True, "true"),
        (pa.int64(), 2**63, str(2**63)),
        (pa.int8(), 200, "200"),
        (pa.int64(), float("nan"), "NaN"),
        (pa.int64(), float("inf"), "Infinity"),
        (pa.float64(), 2**53 + 1, str(2**53 + 1)),
        (pa.float64(), "7.5", '"7.5"'),
        (pa.float64(), False, "false"),
        (pa.float64(), [], "[]"),
        (pa.bool_(), 1, "1"),
        (pa.string(), 1, "1"),
        (pa.date32(), "2011-13-01", '"2011-13-01"'),
        (TIME, "soon", '"soon"'),
        (TIME, 7, "7"),
        (TIME, "0001-01-01T00:00:00+02:00", '"0001-01-01T00:00:00+02:00"'),
        (pa.decimal128(5, 2), "1.111", '"1.111"'),
        (pa.decimal128(5, 2), "nan", '"nan"'),
        (pa.decimal128(5, 2), 10**6, "1000000"),
        (pa.decimal128(5, 2), "one", '"one"'),
        (pa.list_(pa.int64()), [1, "2"], '[1, "2"]'),
        (pa.list_(pa.int64()), 1, "1"),
        (pa.string(), {"a": 1}, '{"a": 1}'),
    ],
)
def test_a_value_of_another_type_is_told_with_its_column(kind, value, shown):
    with pytest.raises(ValueError, match=re.escape(f"column 'x': {shown} is no {kind}")):
        fitted(field(kind), value)


def test_a_row_is_named_by_its_text():
    text = '{"n": 1}'
    assert row_id(text) == hashlib.sha256(b'{"n": 1}').hexdigest()[:12] == Quarantined("p", text, "", "").id


def test_the_quarantine_is_read_from_the_lake(storage):
    lake = Lake(storage, "p")
    assert read_quarantine(lake) == []
    good = Quarantined("2011-01-02", '{"n": 1}', "expect_a(n); expect_b(n)", "n is 1")
    raw = Quarantined("2011-01-02", "1;2", "readable", "2 fields", "a.csv:7")
    other = Quarantined("2011-01-01", '{"n": null}', "expect_a(n)", "n is nothing")
    for partition, entries in (("2011-01-02", [good, raw]), ("2011-01-01", [other])):
        rows = [{name: getattr(one, name) for name in QUARANTINE.names} for one in entries]
        lake.replace(Table.QUARANTINE, {partition: pa.Table.from_pylist(rows, QUARANTINE)})
    assert read_quarantine(lake) == [other, good, raw]
    assert read_quarantine(lake, "2011-01-02") == [good, raw]
    assert (good.values, good.expectations) == ({"n": 1}, ["expect_a(n)", "expect_b(n)"])
    assert (raw.values, raw.readable) == (None, False)
