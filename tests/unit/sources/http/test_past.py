"""Pages that were read are kept in little memory, and still tell which records they had."""

from __future__ import annotations

import gc
import weakref
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.sources.http import pages
from evergreen.sources.http.answer import Content, read_content
from evergreen.sources.http.client import Answer
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.read import read_http
from evergreen.sources.text.json_lines import JsonBlock

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(0, 3),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.sampled_from([Decimal("1.250"), Decimal("1.25"), "\ud800", [1, {"a": None}], {"b": [], "a": 2**70}]),
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, min_size=1), max_size=6)


def page(*several: list[dict[str, Any]]) -> Content:
    return Content([JsonBlock(records, range(len(records)), range(len(records))) for records in several])


def there(record: dict[str, Any]) -> str:
    """A record as text; an absent field is the same as null."""
    return repr(sorted((name, value) for name, value in record.items() if value is not None))


@given(RECORDS, RECORDS, RECORDS)
def test_a_page_has_its_records_and_marks_tell_them_apart(one: Any, other: Any, strange: Any) -> None:
    past = page(one, other).past
    assert all(past.has(record) for record in [*one, *other])
    marks = past.marks()
    assert marks == page([*one, *other]).past.marks()
    texts = [there(record) for record in [*one, *other]]
    assert len(set(marks)) == len(set(texts))
    for record in strange:
        mark = page([record]).past.marks()[0]
        assert (mark in marks) == (there(record) in texts)
        assert past.has(record) or mark not in marks


@pytest.mark.parametrize(
    "record", [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": 1}, {"a": 1, "b": "y", "c": 1}]
)
def test_values_of_different_records_are_no_record(record: Any) -> None:
    assert not page([{"a": 1, "b": "y"}, {"a": 2, "b": "x"}]).past.has(record)


def test_csv_keeps_its_columns() -> None:
    source = HttpSource(conn_id="api", path="/v1", format="csv")
    past = read_content(source, Answer(200, {}, b"a,b\n1,x\n2,y\n", "")).past  # type: ignore[arg-type]
    assert past.has({"a": "2", "b": "y"})
    assert not past.has({"a": "2", "b": "x"})
    assert len(set(past.marks())) == 2


def test_a_page_is_freed_before_the_next_is_read(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before: list[weakref.ref[Content]] = []

    def reading(*args: Any) -> Content:
        assert [one() for one in before if one() is not None] == []
        content = read_content(*args)
        before.append(weakref.ref(content))
        return content

    monkeypatch.setattr(pages, "read_content", reading)
    records = [[{"n": number, "m": at} for at in range(3)] for number in range(4)]
    nexts = ["1", "2", "3", None]
    api.will(*({"data": one, "next": cursor} for one, cursor in zip(records, nexts, strict=True)))
    gc.disable()
    try:
        source = HttpSource(conn_id="weather_api", path="/v1", next="cursor", records="data")
        assert read_http(source, api.connection(), "2024-01-01").table().num_rows == 12
    finally:
        gc.enable()
    assert len(before) == 4
