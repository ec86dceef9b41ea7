"""What an Arrow stream may say, and that whatever it says costs no more than it may."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import UTC_ZONE
from evergreen.rows.local import TIME
from evergreen.serving.arrow_stream import read_stream
from evergreen.serving.limits import Limits
from evergreen.serving.refused import RequestRefusedError
from evergreen.serving.row_types import RowTypes
from tests.arrow_streams import damaged, streamed

LIMITS = Limits(body=100_000, rows=100)
AT = datetime(2024, 1, 31, 8, 0, 0, 5, tzinfo=UTC)
TABLE = pa.table(
    {
        "number": pa.array([1, None, 3], pa.int32()),
        "text": pa.array(["a", "é" * 20, None], pa.string_view()),
        "shop": pa.array(["a", "b", None]).dictionary_encode(),
        "at": pa.array([AT, None, AT], pa.timestamp("ns", "Europe/Berlin")),
        "day": pa.array([date(2024, 1, 31), None, None]),
        "price": pa.array([Decimal("1.50"), None, Decimal("2.00")]),
        "sizes": pa.array([[1.5, None], [], None], pa.large_list(pa.float32())),
        "times": pa.array([[AT], None, []], pa.list_(pa.timestamp("us", "UTC"))),
        "open": [True, None, False],
    }
)
TYPES = RowTypes(
    pa.schema(
        {
            "number": pa.float64(),
            "text": pa.string(),
            "shop": pa.string(),
            "at": TIME,
            "day": pa.date32(),
            "price": pa.decimal128(5, 2),
            "sizes": pa.list_(pa.float64()),
            "times": pa.list_(TIME),
            "open": pa.bool_(),
        }
    ),
    (),
    UTC_ZONE,
)


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_a_stream_is_read_in_the_types_of_the_columns(compression: str | None) -> None:
    found = read_stream(streamed(TABLE, compression), LIMITS)
    assert not found.whole
    read = TYPES.read(found.rows)
    assert (read.places, read.reasons) == ([0, 1, 2], {})
    assert read.rows.schema == TYPES.schema
    assert read.rows.to_pylist() == list(TABLE.to_pylist())


@pytest.mark.parametrize(
    ("said", "whole"), [({}, False), ({"whole": "true"}, True), ({"whole": "false"}, False)]
)
def test_the_metadata_of_the_schema_say_whether_the_rows_are_whole(said: dict[str, str], whole: bool) -> None:
    stream = streamed(TABLE.replace_schema_metadata({"pandas": "{}", **said}))
    assert read_stream(stream, LIMITS).whole is whole


def test_several_batches_are_one_table() -> None:
    batches = TABLE.to_batches(max_chunksize=1)
    assert len(read_stream(streamed(pa.Table.from_batches(batches)), LIMITS).rows) == 3


def repeated(value: pa.Array, times: int) -> pa.Table:
    return pa.table({"x": pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int8()), value)})


def one_text_shared(times: int) -> pa.Table:
    """Views of one text of 3,000 bytes."""
    text = pa.array(["x" * 3000], pa.string_view())
    _, view, letters = text.buffers()
    views = pa.py_buffer(view.to_pybytes() * times)
    return pa.table({"x": pa.Array.from_buffers(pa.string_view(), times, [None, views, letters])})


ONE = pa.record_batch({"x": [1]})
MAP = pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8()))
LARGE = pa.table({"x": ["x" * 200_000]})
RUNS = pa.RunEndEncodedArray.from_arrays(pa.array([2**30], pa.int32()), pa.array([1]))
REFUSED: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 422, "is no Arrow stream"),
    "JSON": (b'{"rows": [{"x": 1}]}', 422, "is no Arrow stream"),
    "cut": (streamed(TABLE)[:-200], 422, "is no Arrow stream"),
    "a file": (b"ARROW1\0\0" + streamed(TABLE), 422, "is no Arrow stream"),
    "no rows": (streamed(TABLE.slice(0, 0)), 422, "has no row"),
    "no batch": (streamed(pa.Table.from_batches([], TABLE.schema)), 422, "has no row"),
    "too many rows": (streamed(pa.table({"x": range(101)})), 413, "101 rows are more than 100"),
    "too many rows of nothing": (streamed(pa.table({"x": pa.nulls(2**30)})), 413, "rows are more than 100"),
    "too many messages": (
        streamed(pa.Table.from_batches([ONE] * 1001)),
        413,
        "more than 1,000 messages",
    ),
    "a compressed bomb": (streamed(LARGE, "zstd"), 413, "more than 100,000 bytes"),
    "another one": (streamed(LARGE, "lz4"), 413, "more than 100,000 bytes"),
    "a long word in a dictionary": (
        streamed(repeated(pa.array(["x" * 3000]), 50)),
        413,
        "more than 100,000 bytes",
    ),
    "a shared text": (streamed(one_text_shared(50)), 413, "more than 100,000 bytes"),
    "runs": (streamed(pa.table({"x": RUNS.slice(0, 1)})), 422, "field 'x' is run_end_encoded"),
    "a structure": (
        streamed(pa.table({"x": [{"a": 1}]})),
        422,
        "field 'x' is struct<a: int64>, which",
    ),
    "a map": (streamed(pa.table({"x": MAP})), 422, "which no row has"),
    "bytes": (streamed(pa.table({"x": [b"a"]})), 422, "field 'x' is binary, which no row has"),
    "lists of lists": (streamed(pa.table({"x": [[[1]]]})), 422, "which no row has"),
    "lists of nothing": (streamed(pa.table({"x": [[None]]})), 422, "which no row has"),
    "a place that is no time zone": (
        streamed(pa.table({"x": pa.array([0], pa.timestamp("us", "Mars/Olympus"))})),
        422,
        "field 'x' has the unknown time zone Mars/Olympus",
    ),
    "whole is a number": (
        streamed(TABLE.replace_schema_metadata({"whole": "1"})),
        422,
        "'whole' in the metadata",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    stream, status, why = REFUSED[name]
    with pytest.raises(RequestRefusedError) as refused:
        read_stream(stream, LIMITS)
    assert refused.value.status == status
    assert why in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_view_that_is_null_leads_nowhere() -> None:
    views = pa.py_buffer(b"\x01\0\0\0a" + b"\0" * 11 + b"\xff" * 16)
    texts = pa.Array.from_buffers(pa.string_view(), 2, [pa.py_buffer(b"\x01"), views], 1)
    found = read_stream(streamed(pa.table({"x": texts})), LIMITS)
    assert (found.rows.column("x").type, found.rows.to_pylist()) == (pa.string(), [{"x": "a"}, {"x": None}])


def test_text_that_is_not_utf8_is_no_stream() -> None:
    letters = pa.py_buffer(b"\xff\xfe")
    texts = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), letters])
    with pytest.raises(RequestRefusedError, match=r"is no Arrow stream: In column 0: .*UTF8"):
        read_stream(streamed(pa.table({"x": texts})), LIMITS)


@given(st.integers(0, 2**32), st.sampled_from([None, "lz4", "zstd"]))
def test_a_damaged_stream_is_read_or_refused(number: int, compression: str | None) -> None:
    stream = damaged(streamed(TABLE, compression), number)
    try:
        read: Any = TYPES.read(read_stream(stream, LIMITS).rows)
    except RequestRefusedError as refused:
        assert refused.status in (413, 422)  # noqa: PT017 - it may be read as well
    else:
        read.rows.validate(full=True)
