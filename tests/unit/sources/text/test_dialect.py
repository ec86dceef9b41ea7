"""CSV in the dialects of the world, with Python's csv module and codecs as the independent writer."""

from __future__ import annotations

import csv
import encodings.aliases
import io
from decimal import Decimal

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evergreen.errors import EvergreenError, SourceError
from evergreen.sources.files import decompress
from evergreen.sources.files.description import FileSource
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.text_files import read_csv_files
from evergreen.sources.http.description import HttpSource
from evergreen.sources.text import csv_text
from evergreen.sources.text.dialect import CsvDialect, known_encoding
from evergreen.sources.text.encoding import as_utf8, as_written
from evergreen.sources.text.number_form import NumberForm


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("dialect") / "a.csv"


@pytest.fixture(scope="module")
def read(path):
    """The rows of one file as tuples, and its rejected records: place, text, reason."""

    def read(content, types=(), chunk=None, **dialect):
        path.write_bytes(content)
        with pytest.MonkeyPatch.context() as patch:
            if chunk:
                patch.setattr(decompress.plain_chunks, "__defaults__", (chunk,))
            rows = read_csv_files([LocatedFile("a.csv", path)], CsvDialect(**dialect), dict(types))
        table = rows.table()
        found = [tuple(row.values()) for row in table.to_pylist()]
        return table, found, [(bad.place, bad.text, bad.reason) for bad in rows.rejected]

    return read


LETTERS = "aäßéñŁ€ß1,;.|\t'\"#-_ \n\r"
ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "cp1252",
    "latin-1",
    "cp1250",
]


@st.composite
def dialects(draw):
    quote = draw(st.sampled_from(['"', "'"]))
    given = {
        "encoding": draw(st.sampled_from(ENCODINGS)),
        "delimiter": draw(st.sampled_from([",", ";", "\t", "|"])),
        "quote": quote,
        "comment": draw(st.sampled_from([None, "#"])),
        "skip": draw(st.integers(0, 3)),
        "nulls": draw(st.sampled_from([(), ("NA",), ("NA", "\\N", "-")])),
    }
    if draw(st.booleans()):
        given["columns"] = ("one", "two", "three")
    return given


@st.composite
def written(draw):
    """A dialect, the bytes of a table of texts written in it, and the texts."""
    dialect = draw(dialects())
    encoding = dialect["encoding"]
    texts = st.text(LETTERS, max_size=5).map(lambda text: text.encode(encoding, "ignore").decode(encoding))
    value = texts | st.sampled_from(["NA", "-", "\\N", "", "x" * 50])
    rows = draw(st.lists(st.tuples(value, value, value), max_size=8))
    out = io.StringIO(newline="")
    out.writelines(f"title, '{number}'\n" for number in range(dialect["skip"]))
    writer = csv.writer(
        out, delimiter=dialect["delimiter"], quotechar=dialect["quote"], quoting=csv.QUOTE_ALL
    )
    if "columns" not in dialect:
        writer.writerow(["one", "two", "three"])
    for row in rows:
        if dialect["comment"] and draw(st.booleans()):
            out.write(draw(st.sampled_from(["#\r\n", '# it\'s "so"\n', "#a,b,c\r\n"])))
        writer.writerow(row)
    nulls = {"", *dialect["nulls"]}
    return (
        dialect,
        out.getvalue().encode(encoding),
        [tuple(None if text in nulls else text for text in row) for row in rows],
    )


TEXTS = dict.fromkeys(["one", "two", "three"], "text")


@given(written(), st.integers(4, 60))
def test_what_python_writes_in_a_dialect_is_read_back(read, table, chunk):
    dialect, content, rows = table
    for size in (None, chunk):
        _, found, rejected = read(content, TEXTS, size, **dialect)
        assert (found, rejected) == (rows, [])


@given(written(), st.integers(0, 8), st.sampled_from(["x", "x{0}y", "{1}x{1}y{0}z{0}w", "1{0}2{0}3{0}4"]))
def test_a_damaged_record_rejects_itself_alone(read, table, at, broken):
    dialect, _, rows = table
    encoding = dialect["encoding"]
    broken = broken.format(dialect["delimiter"], dialect["quote"])
    out = io.StringIO(newline="")
    out.writelines("title\n" for _ in range(dialect["skip"]))
    writer = csv.writer(
        out, delimiter=dialect["delimiter"], quotechar=dialect["quote"], quoting=csv.QUOTE_ALL
    )
    if "columns" not in dialect:
        writer.writerow(["one", "two", "three"])
    for number, row in enumerate(rows):
        if number == at:
            out.write(broken + "\r\n")
        writer.writerow(["" if text is None else text for text in row])
    if at >= len(rows):
        out.write(broken + "\r\n")
    _, found, rejected = read(out.getvalue().encode(encoding), TEXTS, **dialect)
    assert found == rows
    assert [text for _, text, _ in rejected] == [broken]


@given(written())
def test_arrow_reads_as_the_record_reader_does(read, table):
    dialect, content, _ = table

    def found():
        try:
            return read(content, **dialect)[1:]
        except EvergreenError as error:  # a drawn text may be a word for null among numbers
            return str(error)

    quick = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_text, "_in_order", lambda *_: 0)
        assert quick == found()


@given(st.binary(max_size=60), dialects())
def test_no_bytes_end_in_anything_but_rows_or_one_line(read, content, dialect):
    try:
        read(content, **dialect)
    except EvergreenError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - what it says is the point


@pytest.mark.parametrize(
    ("encoding", "content", "place", "text"),
    [
        ("cp1252", b"a;b\n1;\xfcber\n2;\x81\x9dx\n3;y\n", "a.csv:3", r"2;\x81\x9dx"),
        ("cp1253", b"a;b\n1;\xfcber\n2;\xd2\xffx\n3;y\n", "a.csv:3", r"2;\xd2\xffx"),
        ("iso-8859-8", b"a;b\n1;u\n2;\xc3\xbfx\n3;y\n", "a.csv:3", r"2;\xc3\xbfx"),  # would be UTF-8
        ("ascii", b"a;b\n1;u\n2;\xc3\xbfx\n3;y\n", "a.csv:3", r"2;\xc3\xbfx"),
        ("utf-16-le", "a;b\n1;u\n2;".encode("utf-16-le") + b"\x00\xd8\n\0" + "3;y\n".encode("utf-16-le"),
         "a.csv:3", r"2;\x00\xd8"),
        ("shift_jis", "a;b\n1;ア\n".encode("shift_jis") + b"2;\xff\n3;y\n", "a.csv:3", r"2;\xff"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_text_reject_their_record(read, encoding, content, place, text):
    _, rows, rejected = read(content, delimiter=";", encoding=encoding)
    assert [row[0] for row in rows] == [1.0, 3.0]
    assert rejected == [(place, text, f"holds bytes that are not {encoding}")]


def test_every_byte_that_is_no_text_is_shown_as_it_was():
    for byte in range(0x80, 0x100):
        (_, chunks) = as_utf8([b"a", bytes([byte])], "ascii")
        assert as_written(b"".join(chunks)) == b"a\\x%02x" % byte


def test_a_byte_order_mark_wins_over_the_declared_encoding(read):
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        assert read("a\né\n".encode(encoding), encoding="cp1252")[1] == [("é",)]
        assert read("a\né\n".encode(encoding))[1] == [("é",)]


def test_every_encoding_of_python_is_read_or_refused_by_its_name():
    names = set(encodings.aliases.aliases.values())
    refused = set()
    for name in names:
        try:
            known_encoding(name)
        except ValueError:
            refused.add(name)
            continue
        _, chunks = as_utf8([bytes(range(256)), bytes(range(255, 0, -1))], name)
        assert isinstance(b"".join(chunks), bytes)
    assert {"zlib_codec", "rot_13", "utf_7", "hex_codec"} <= refused
    assert {"utf_8", "utf_16", "cp1252", "latin_1", "shift_jis", "gb18030"} <= names - refused


COMMA, GERMAN, FRENCH = (
    {"decimal": ","},
    {"decimal": ",", "thousands": "."},
    {"decimal": ",", "thousands": " "},
)
SWISS, ENGLISH = {"thousands": "'"}, {"thousands": ","}


@pytest.mark.parametrize(
    ("dialect", "text", "number"),
    [
        ({}, "1,5", None),
        ({}, "1.5", "1.5"),
        ({}, "1,234", None),
        (COMMA, "1,5", "1.5"),
        (COMMA, "1.5", None),
        (COMMA, "-0,25", "-0.25"),
        (COMMA, "1,5e3", "1500"),
        (COMMA, "1.234,5", None),
        (COMMA, "1,2,3", None),
        (GERMAN, "1.234,50", "1234.50"),
        (GERMAN, "1.234", "1234"),
        (GERMAN, "1234,5", "1234.5"),
        (GERMAN, "1234", "1234"),
        (GERMAN, "-12.345.678,9", "-12345678.9"),
        (GERMAN, "1.23.4", None),
        (GERMAN, "1.23", None),
        (GERMAN, "12.3456", None),
        (GERMAN, "1234.567", None),
        (GERMAN, "0.123", None),
        (GERMAN, ".123", None),
        (GERMAN, "1.234.", None),
        (GERMAN, "1,234.5", None),
        (GERMAN, "1,234,5", None),
        (GERMAN, "9.007.199.254.740,99", "9007199254740.99"),
        (FRENCH, "1 234,5", "1234.5"),
        (FRENCH, "1\u00a0234\u202f567,5", "1234567.5"),
        (FRENCH, "1  234", None),
        (FRENCH, "1 23", None),
        (SWISS, "1'234.50", "1234.50"),
        (SWISS, "1’234.50", "1234.50"),  # noqa: RUF001 - as Excel writes it
        (SWISS, "1234,5", None),
        (ENGLISH, "1,234.5", "1234.5"),
        (ENGLISH, "1,5", None),
        ({"thousands": "_"}, "1_234", "1234"),
    ],
)
def test_numbers_are_exact_or_none(read, dialect, text, number):
    exact = None if number is None else Decimal(number)
    content = f"n;k\n{text};x\n;y\n".encode()
    table, rows, _ = read(content, delimiter=";", **dialect)
    assert table.schema.types[0] == (pa.string() if number is None else pa.float64())
    assert rows == [(text if exact is None else float(exact), "x"), (None, "y")]
    for declared, value in (("decimal(20, 6)", exact), ("float", exact and float(exact))):
        _, rows, rejected = read(content, {"n": declared}, delimiter=";", **dialect)
        if exact is None:
            assert rows == [(None, "y")]
            assert rejected == [("a.csv:2", f"{text};x", f"column 'n': '{text}' is no {declared}")]
        else:
            assert (rows, rejected) == ([(value, "x"), (None, "y")], [])


@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=3),
    st.sampled_from([(",", "."), (",", " "), (".", ","), (".", "'"), (",", ""), (",", "'")]),
)
def test_a_number_of_a_form_is_the_number_it_was_written_from(number, signs):
    decimal, thousands = signs
    text = f"{number:,.3f}" if thousands else f"{number:.3f}"
    local = text.replace(",", "T").replace(".", decimal).replace("T", thousands)
    plain = NumberForm(decimal, thousands).plain(pa.array(["x", None, local, ""])[1:])
    assert plain.to_pylist()[0] is None
    assert Decimal(plain.to_pylist()[1]) == number


def test_a_whole_number_keeps_its_rules(read):
    _, rows, rejected = read(b"n\n1.234\n1.234,5\n12.34\n", {"n": "int"}, delimiter=";", **GERMAN)
    assert rows == [(1234,)]
    assert [reason for _, _, reason in rejected] == [
        "column 'n': '1.234,5' is no int",
        "column 'n': '12.34' is no int",
    ]
    assert read(b"n\n01234\n1.234\n", **GERMAN)[1] == [("01234",), ("1.234",)]  # a code, as anywhere
    late = b"n\n" + b"1,5\n" * 1000 + b"x\n"
    assert read(late, chunk=64, decimal=",", delimiter=";")[0].schema.types == [pa.string()]


@pytest.mark.parametrize(
    ("content", "dialect", "rows"),
    [
        (b"sep=;\r\na;b\r\n1;2\r\n", {}, [(1.0, 2.0)]),
        (b'"sep=|"\na|b\n1|2\n', {"delimiter": ";"}, [(1.0, 2.0)]),
        (b"\xef\xbb\xbfSEP=\t\na\tb\n1\t2\n", {}, [(1.0, 2.0)]),
        (b"sep=;\nReport\n\na;b\n1;2\n", {"skip": 3}, [(1.0, 2.0)]),
        (b"Report, of \"all\n\n;;\na;b\n1;2\n", {"skip": 3, "delimiter": ";"}, [(1.0, 2.0)]),
        (b"# made by x\na,b\n#1,2\n3,4\n", {"comment": "#"}, [(3.0, 4.0)]),
        (b'a,b\n"x\n#y",2\n#"\n', {"comment": "#"}, [("x\n#y", 2.0)]),
        (b"a,b\n1,#2\n", {"comment": "#"}, [(1.0, "#2")]),
        (b"1,2\n3,4\n", {"columns": ["x", "y"]}, [(1.0, 2.0), (3.0, 4.0)]),
        (b"x,y\n1,2\n", {"columns": ["a", "b"], "skip": 1}, [(1.0, 2.0)]),
        (b"", {"columns": ["x", "y"]}, []),
        (b'a\t5"\n\'x\ty\n', {"columns": ["x", "y"], "quote": None, "delimiter": "\t"},
         [("a", '5"'), ("'x", "y")]),
        (b"a;b\n'x;y';'it''s'\n", {"quote": "'", "delimiter": ";"}, [("x;y", "it's")]),
        (b'a,b\nNA,-\n"NA",1\n\\N,2\n', {"nulls": ["NA", "\\N", "-"]},
         [(None, None), (None, 1.0), (None, 2.0)]),
        (b"a,b\n-999,x\n5,-999\n", {"nulls": [-999]}, [(None, "x"), (5.0, None)]),
        (b"a,b\nna,1\n", {"nulls": ["NA"]}, [("na", 1.0)]),
    ],
)  # fmt: skip
def test_what_stands_around_the_records(read, content, dialect, rows):
    assert read(content, **dialect)[1:] == (rows, [])
    assert read(content, chunk=5, **dialect)[1:] == (rows, [])


def test_places_count_every_line_of_the_file(read):
    content = b"sep=;\nReport\n# note\na;b\n# another\n1;2\n1\n"
    _, rows, rejected = read(content, skip=2, comment="#")
    assert rows == [(1.0, 2.0)]
    assert rejected == [("a.csv:7", "1", "has 1 field instead of 2")]


def test_a_file_of_skipped_lines_alone_has_no_header(read):
    with pytest.raises(SourceError, match=r"^a\.csv is not a CSV file with a header: it is empty"):
        read(b"one\ntwo\n", skip=5)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"encoding": "klingon"}, "write the name of a text encoding"),
        ({"encoding": "zlib"}, "write the name of a text encoding"),
        ({"encoding": "unicode_escape"}, "write the name of a text encoding"),
        ({"delimiter": "::"}, "write one ASCII character"),
        ({"delimiter": '"'}, "not a quote or a line break"),
        ({"delimiter": "é"}, "write one ASCII character"),
        ({"quote": "\n"}, "write one ASCII character"),
        ({"decimal": ",", "thousands": ","}, "'decimal' and 'thousands' must differ"),
        ({"delimiter": ";", "comment": ";"}, "'delimiter' and 'comment' must differ"),
        ({"quote": "#", "comment": "#"}, "'quote' and 'comment' must differ"),
        ({"columns": ["a", "a"]}, "'a' comes more than once"),
        ({"columns": []}, "at least 1 item"),
        ({"skip": -1}, "greater than or equal to 0"),
        ({"nulls": [None]}, "valid string"),
    ],
)
def test_what_no_csv_can_have_is_refused(said, wrong):
    with pytest.raises(ValidationError, match=wrong):
        CsvDialect.model_validate(said)


@given(dialects())
def test_a_dialect_is_written_as_yaml_and_read_back(dialect):
    said = CsvDialect(**dialect)
    written = yaml.safe_dump(said.model_dump(mode="json", exclude_defaults=True))
    assert CsvDialect.model_validate(yaml.safe_load(written)) == said


def test_both_kinds_of_source_say_it_alike():
    said = {"encoding": "cp1252", "delimiter": ";", "decimal": ",", "thousands": "."}
    file = FileSource(path="a.csv", csv=said)
    http = HttpSource(conn_id="api", path="/v1", format="csv", csv=said)
    assert file.csv == http.csv == CsvDialect(**said)
    assert FileSource(path="a.csv", delimiter=";").csv == CsvDialect(delimiter=";")
    assert (
        FileSource.model_validate(FileSource(path="a.csv", delimiter=";").model_dump()).csv.delimiter == ";"
    )
    with pytest.raises(ValidationError, match="give either 'delimiter' or"):
        FileSource(path="a.csv", delimiter=";", csv={"delimiter": ","})
    with pytest.raises(ValidationError, match="have no CSV dialect"):
        FileSource(path="a.parquet", format="parquet", delimiter=";")
    with pytest.raises(ValidationError, match="has no CSV dialect"):
        HttpSource(conn_id="api", path="/v1", csv=said)
