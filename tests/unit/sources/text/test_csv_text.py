"""CSV files to rows, with Python's csv module as the independent reader."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import EvergreenError, SourceError
from evergreen.sources.files import decompress
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.text_files import read_csv_files
from evergreen.sources.text import csv_text, lines
from evergreen.sources.text.dialect import CsvDialect


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("csv")


@pytest.fixture(scope="module")
def read(folder):
    def read(*contents, types=(), chunk=None, **dialect):
        files = []
        for number, content in enumerate(contents):
            path = folder / f"{number}.csv"
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            files.append(LocatedFile(path.name, path))
        with pytest.MonkeyPatch.context() as patch:
            if chunk:
                patch.setattr(decompress.plain_chunks, "__defaults__", (chunk,))
            rows = read_csv_files(files, CsvDialect(**dialect), dict(types))
        return rows.table(), [(bad.place, bad.text, bad.reason) for bad in rows.rejected]

    return read


VALUE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=6)
TABLE = st.lists(st.tuples(VALUE, st.sampled_from(["", "x", "a,b", 'q"', "1\n2", "é"]), VALUE), max_size=12)
BROKEN = st.sampled_from([b"a,b", b"a,b,c,d", b'a,"b"c,d', b"a,\xff,c", b"a,\0,c", b"a,b\r,c", b"1"])


def written(row):
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerow(row)
    return out.getvalue().encode()


@given(TABLE, st.lists(st.tuples(st.integers(0, 12), BROKEN), max_size=4), st.integers(1, 40))
def test_every_line_is_a_row_or_rejected_and_none_is_both(read, table, broken, chunk):
    parts = [(written(row), row) for row in table]
    for at, text in broken:
        parts.insert(at, (text + b"\n", None))
    text = b"one,two,three\n" + b"".join(part for part, _ in parts)
    number, expected = 2, []
    for part, row in parts:
        if row is None:
            expected.append((f"0.csv:{number}", part[:-1].decode("utf-8", "backslashreplace")))
        number += part.count(b"\n")
    rows, rejected = read(text, types={"one": "text", "two": "text", "three": "text"}, chunk=chunk)
    assert [tuple(row.values()) for row in rows.to_pylist()] == [
        tuple(value or None for value in row) for row in table
    ]
    assert [(place, raw) for place, raw, _ in rejected] == expected


@given(
    st.binary(max_size=80)
    | st.text('a1,"\n\r\0é ', max_size=60).map(str.encode)
    | st.text('a1,"\n', max_size=60).map(lambda text: b"a,b\n" + text.encode()),
    st.sampled_from([{}, {"a": "int"}, {"a": "decimal(4, 2)", "b": "time"}]),
    st.integers(1, 30),
)
def test_no_bytes_end_in_anything_but_rows_or_one_line(read, text, types, chunk):
    try:
        whole = read(text, types=types)
    except EvergreenError as error:
        if len(str(error).splitlines()) != 1:
            raise
        return
    in_pieces = read(text, types=types, chunk=chunk)
    assert (whole[0].schema, whole[0].to_pylist()) == (in_pieces[0].schema, in_pieces[0].to_pylist())
    assert whole[1] == in_pieces[1]


@given(st.text('a1,"\n\r', max_size=40).map(lambda text: b"a,b\n" + text.encode()))
def test_arrow_reads_as_the_record_reader_does(read, text):
    quick = read(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_text, "_in_order", lambda *_: 0)
        slow = read(text)
    assert quick[0].to_pylist() == slow[0].to_pylist()
    assert quick[1] == slow[1]


def test_a_block_that_is_in_order_is_read_by_arrow(read, monkeypatch):
    monkeypatch.setattr(csv_text, "records", lambda text, *_, **__: iter([header]))
    header = csv_text.Record(1, 0, 4, ["a", "b"])
    assert read('a,b\n1,"x\ny"\n\n2,"say ""so"""\n')[0].to_pylist() == [
        {"a": 1.0, "b": "x\ny"},
        {"a": 2.0, "b": 'say "so"'},
    ]


def test_types_are_found_in_all_values_of_the_partition(read):
    first = "n,t,d,b,s,e\n1,2024-01-01T00:00:00Z,2024-01-31,true,a,\n"
    second = "n,t,d,b,s,e\n2.5,2024-01-01 06:00:00,,FALSE,1,\n"
    table, _ = read(first, second)
    time = pa.timestamp("us", tz="UTC")
    assert table.schema.types == [pa.float64(), time, pa.date32(), pa.bool_(), pa.string(), pa.null()]
    assert table.to_pylist() == [
        {
            "n": 1.0,
            "t": datetime(2024, 1, 1, tzinfo=UTC),
            "d": date(2024, 1, 31),
            "b": True,
            "s": "a",
            "e": None,
        },
        {"n": 2.5, "t": datetime(2024, 1, 1, 6, tzinfo=UTC), "d": None, "b": False, "s": "1", "e": None},
    ]
    late, _ = read("n\n" + "1\n" * 1000 + "x\n", chunk=64)
    assert late.schema.types == [pa.string()]


def test_a_value_that_does_not_fit_its_declared_type_is_rejected_with_its_line(read):
    text = 'k,amount,note\n1,1.50,"a\nb"\nx,2.00,c\n3,1.505,"d\ne"\n4,,f\n'
    table, rejected = read(text, types={"k": "int", "amount": "decimal(6, 2)"})
    assert table.schema.types == [pa.int64(), pa.decimal128(6, 2), pa.string()]
    assert table.column("k").to_pylist() == [1, 4]
    assert rejected == [
        ("0.csv:4", "x,2.00,c", "column 'k': 'x' is no int"),
        ("0.csv:5", '3,1.505,"d\ne"', "column 'amount': '1.505' is no decimal(6, 2)"),
    ]


def test_rejected_lines_stand_in_their_order_whatever_is_wrong_with_them(read):
    _, rejected = read("k\n1\nx\n1,2\ny\n", types={"k": "int"})
    assert [place for place, _, _ in rejected] == ["0.csv:3", "0.csv:4", "0.csv:5"]


def test_a_declared_text_keeps_its_zeros_and_digits(read):
    table, _ = read("a,b,c\n01234,9007199254740993,1\n", types={"a": "text"})
    assert table.to_pylist() == [{"a": "01234", "b": "9007199254740993", "c": 1.0}]


def test_the_order_of_the_columns_may_differ_between_files_but_not_their_names(read):
    assert read("a,b\n1,x\n", "b,a\ny,2\n")[0].to_pylist() == [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}]
    with pytest.raises(SourceError, match=r"^1\.csv has no column 'b', which 0\.csv has: fix the files$"):
        read("a,b\n1,x\n", "a\n1\n")
    with pytest.raises(SourceError, match=r"^1\.csv has the columns 'b', 'c', which 0\.csv has not"):
        read("a\n1\n", "a,b,c\n1,2,3\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "0.csv is not a CSV file with a header: it is empty: fix the file"),
        ("\n\r\n", "0.csv is not a CSV file with a header: it is empty: fix the file"),
        (
            b"a,\xff\n",
            "0.csv is not a CSV file with a header: line 1 holds bytes that are not UTF-8: fix the file",
        ),
        (
            '"a\n1\n',
            "0.csv is not a CSV file with a header: line 1 has a quote that is not closed: fix the file",
        ),
        ("a,b,a\n", "0.csv: column 'a' comes more than once: rename one"),
        ("a,,b\n", "0.csv: column 2 of 3 has no name: give it one"),
        ("partition\n", "0.csv: column 'partition' has the name of the lake's own column: rename it"),
    ],
)
def test_a_header_that_names_no_columns(read, text, problem):
    with pytest.raises(SourceError) as error:
        read(text)
    assert str(error.value) == problem


def test_a_mark_blank_lines_and_another_delimiter(read):
    table, rejected = read(b"\xef\xbb\xbf\r\na;b\r\n\r\n1;2,5\r\n", delimiter=";")
    assert (table.to_pylist(), rejected) == ([{"a": 1.0, "b": "2,5"}], [])


def test_a_line_over_the_limit_is_rejected_and_the_next_one_read(read, monkeypatch):
    monkeypatch.setattr(lines, "LONGEST", 40)
    monkeypatch.setattr(lines, "_KEPT", 5)
    table, rejected = read("a,b\n1,x\n2," + "y" * 100 + "\n3,z\n", chunk=16)
    assert table.column("a").to_pylist() == [1.0, 3.0]
    assert rejected == [("0.csv:3", "2,yyy", lines.TOO_LONG)]


def test_a_real_line_over_16_mb(read):
    table, rejected = read(b'a,b\n1,"' + b"y" * (17 * 2**20) + b'"\n2,x\n' + b"z" * 2**20)
    assert table.column("a").to_pylist() == [2.0]
    assert [(place, len(text)) for place, text, _ in rejected] == [("0.csv:2", 2**16), ("0.csv:4", 2**20)]


@pytest.mark.parametrize("end", ["\n", ""])
def test_an_open_quote_at_the_end_is_rejected(read, end):
    table, rejected = read(f'a,b\n1,x\n"{end}')
    assert (table.num_rows, rejected) == (1, [("0.csv:3", '"', "has a quote that is not closed")])


def test_an_open_quote_does_not_swallow_the_file(read):
    rows = "".join(f"{number},x\n" for number in range(1000))
    table, rejected = read(f'a,b\n{rows}0,"open\n{rows}', chunk=512)
    assert table.num_rows == 2000
    assert rejected == [("0.csv:1002", '0,"open', "has a quote that is not closed")]


def test_each_line_of_csv_has_its_own_fault(tmp_path):
    (tmp_path / "x.csv").write_bytes(b'a,b,c\n1,"open,2\n3,c,3\n4,\xff,4\n5,"x",5\n')
    rows = read_csv_files([LocatedFile("x.csv", tmp_path / "x.csv")], CsvDialect(), {})
    assert [row["b"] for row in rows.table().to_pylist()] == ["c", "x"]
    assert [(one.place, one.reason) for one in rows.rejected] == [
        ("x.csv:2", "has text after a closing quote"),
        ("x.csv:4", "holds bytes that are not UTF-8"),
    ]
