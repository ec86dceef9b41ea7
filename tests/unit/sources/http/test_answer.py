from __future__ import annotations

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from evergreen.errors import SourceError
from evergreen.sources.attempts import StumbleError
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.text_files import read_csv_files
from evergreen.sources.http.answer import read_content
from evergreen.sources.http.client import Answer
from evergreen.sources.http.description import HttpSource
from evergreen.sources.text.dialect import CsvDialect
from evergreen.sources.text.spool import Spool

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


QUOTED = '"x,\n""y"'
LIKELY = st.sampled_from(
    [
        "1",
        "0",
        "01234",
        " 7",
        "-0.5",
        "NaN",
        "inf",
        "1e999",
        "9007199254740993",
        "true",
        "False",
        "NA",
        "x",
        "2011-01-01",
        "2011-01-01T05:00:00",
        "2011-01-01 05:00Z",
        "1.50",
        "2011-02-30",
    ]
)


def page(body, form="csv", types=(), charset=""):
    source = HttpSource(conn_id="api", path="/v1", format=form, types=dict(types))
    return read_content(
        source, Answer(200, httpx.Headers({"Content-Type": f"text/x{charset}"}), body, "http://api/v1")
    )


def test_an_empty_field_of_csv_is_null_and_nothing_else_is():
    (block,) = page(b'a,b,c,d\nNA,,null,""\n').blocks
    assert block.columns.to_pylist() == [{"a": "NA", "b": None, "c": "null", "d": None}]


@given(
    st.lists(
        st.lists(st.none() | LIKELY | st.just('"x,\n""y"'), min_size=1, max_size=3), min_size=1, max_size=3
    ),
    st.sampled_from(
        [{}, {"x": "int"}, {"x": "float"}, {"x": "decimal(5, 2)"}, {"x": "time"}, {"x": "boolean"}]
    ),
)
def test_csv_of_an_api_and_csv_of_a_file_become_the_same(tmp_path_factory, parts, types):
    bodies = [
        "\n".join(["x,y", *(f"{text or ''},{at}" for at, text in enumerate(part)), ""]).encode()
        for part in parts
    ]
    folder, spool = tmp_path_factory.mktemp("parts"), Spool(types)
    files = []
    for number, body in enumerate(bodies):
        (folder / f"{number}.csv").write_bytes(body)
        files.append(LocatedFile(f"{number}.csv", folder / f"{number}.csv"))
        spool.keep(page(body, types=types).prepare(spool, number + 1))
    found, expected = spool.rows(), read_csv_files(files, CsvDialect(), types)
    table = found.table()
    # A file has its header's columns, an API those of the records that are kept.
    assert table == expected.table().select(table.schema.names)
    assert [(bad.text, bad.reason) for bad in found.rejected] == [
        (bad.text, bad.reason) for bad in expected.rejected
    ]


def test_a_long_field_of_csv_is_read_from_an_api_as_from_a_file(tmp_path):
    long = "y" * 131_073
    body = f'a,b\n1,{long}\n2,"{long}\n"\n'.encode()
    (tmp_path / "a.csv").write_bytes(body)
    spool = Spool()
    spool.keep(page(body).prepare(spool, 1))
    found, expected = (
        spool.rows(),
        read_csv_files([LocatedFile("a.csv", tmp_path / "a.csv")], CsvDialect(), {}),
    )
    assert found.rejected == expected.rejected == []
    table = found.table()
    assert table.to_pylist() == [{"a": 1.0, "b": long}, {"a": 2.0, "b": f"{long}\n"}]
    assert table == expected.table()


def test_each_bad_record_of_csv_has_its_number_and_its_own_text():
    body = b'a,b\n1,x\n\n2\n"q\nr",\xff\nx,4\n5,"y"z\n6,z\n'
    spool = Spool({"a": "int"})
    spool.keep(page(body, types=spool.types).prepare(spool, 7))
    rows = spool.rows()
    assert rows.table().to_pylist() == [{"a": 1, "b": "x"}, {"a": 6, "b": "z"}]
    assert [(bad.place, bad.text, bad.reason) for bad in rows.rejected] == [
        ("page 7, record 2", "2", "has 1 field instead of 2"),
        ("page 7, record 3", '"q\nr",\\xff', "holds bytes that are not UTF-8"),
        ("page 7, record 4", "x,4", "column 'a': 'x' is no int"),
        ("page 7, record 5", '5,"y"z', "has text after a closing quote"),
    ]


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
    spool = Spool(types)
    told = ""
    try:
        content = page(body, form, types, charset)
        spool.keep(content.prepare(spool, 1))
        rows = spool.rows()
        assert rows.table().num_rows + len(rows.rejected) == len(content)
    except (SourceError, StumbleError) as error:
        told = str(error)
    finally:
        spool.close()
    assert "\n" not in told
