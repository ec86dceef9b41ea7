from __future__ import annotations

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from evergreen.errors import SourceError
from evergreen.sources.http.answer import read_content
from evergreen.sources.http.client import Answer
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.stumble import StumbleError
from evergreen.sources.text.records import RecordSpool

pieces = st.sampled_from(
    [b'{"data": [', b"{", b"}", b"]", b'"a": ', b'"a":', b"1", b"NaN", b"-1e999", b'"\\ud800"', b"null", b",",
     b"\n", b"\r", b'"', b"a,b\n", b"x", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"9" * 5000]
)  # fmt: skip
charsets = st.sampled_from(
    [
        "",
        "; charset=utf-8",
        '; charset="latin-1"',
        "; charset=utf-16",
        "; charset=zlib",
        "; charset=undefined",
    ]
)


def test_an_empty_field_of_csv_is_null_and_nothing_else_is():
    answer = Answer(200, httpx.Headers({}), b'a,b,c,d\nNA,,null,""\n', "http://api/v1")
    content = read_content(HttpSource(conn_id="api", path="/v1", format="csv"), answer)
    assert content.records == [{"a": "NA", "b": None, "c": "null", "d": None}]


@given(
    st.binary(max_size=40) | st.lists(pieces, max_size=12).map(b"".join),
    st.sampled_from(["json", "json_lines", "csv"]),
    charsets,
    st.sampled_from([{}, {"a": "decimal(5, 2)"}]),
)
@example(b"a,b\n1,\x002\n", "csv", "", {})
@example(b'{"data": [' + b"[" * 100_000, "json", "", {})
@example(b"[" * 100_000, "json_lines", "", {})
def test_any_bytes_are_records_or_rejected_or_one_line(body, form, charset, types):
    source = HttpSource(conn_id="api", path="/v1", format=form, types=types)
    answer = Answer(200, httpx.Headers({"Content-Type": f"text/x{charset}"}), body, "http://api/v1")
    spool = RecordSpool(types, csv=form == "csv")
    told = ""
    try:
        content = read_content(source, answer)
        spool.add(content.records, lambda at: content.place(1, at))
        rows = spool.rows()
        kept = rows.table().num_rows + len(rows.rejected)
        assert kept + len(content.rejected(1)) == len(content)
    except (SourceError, StumbleError) as error:
        told = str(error)
    finally:
        spool.close()
    assert "\n" not in told
