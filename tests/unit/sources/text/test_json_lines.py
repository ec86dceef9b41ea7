from __future__ import annotations

import gzip
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import EvergreenError, SourceError
from evergreen.sources.files import text_files
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.text_files import read_json_files
from evergreen.sources.text import lines
from evergreen.sources.text.column_types import TextTypes


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")

    def read(content, types=None, chunk=2**20, name="a.jsonl"):
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text_files, "_JSON_CHUNK", chunk)
            rows = read_json_files([LocatedFile(name, path)], types or {})
        return rows.table().to_pylist(), [(bad.place, bad.text, bad.reason) for bad in rows.rejected]

    return read


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6).map(
    "x{}".format
)
RECORD = st.fixed_dictionaries({"n": st.none() | st.integers(-99, 99).map(float), "t": st.none() | TEXT})
BROKEN = st.sampled_from(
    [b"{", b"[1]", b"3", b'"x"', b"null", b'{"n": \xff}', b'{"n":1}{', b"[" * 5000, b"\0"]
)


@given(
    st.lists(RECORD | BROKEN | st.just(b" "), max_size=12),
    st.integers(1, 40),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_every_line_is_a_row_or_rejected_and_none_is_both(read, parts, chunk, end):
    text = b"".join((part if isinstance(part, bytes) else json.dumps(part).encode()) + end for part in parts)
    rows, rejected = read(text, chunk=chunk)
    assert rows == [part for part in parts if isinstance(part, dict)]
    assert [(place, raw) for place, raw, _ in rejected] == [
        (f"a.jsonl:{number}", part.decode("utf-8", "backslashreplace"))
        for number, part in enumerate(parts, 1)
        if isinstance(part, bytes) and part.strip()
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(
    st.lists(JSON.map(json.dumps).map(str.encode) | st.binary(max_size=20), max_size=6).map(b"\n".join),
    st.sampled_from([{}, {"a": "int"}]),
)
def test_no_bytes_end_in_anything_but_rows_or_one_line(read, text, types):
    try:
        read(text, types)
    except EvergreenError as error:
        if len(str(error).splitlines()) != 1:
            raise


@given(RECORD, st.data())
def test_a_line_with_a_byte_changed_leaves_the_others(read, record, data):
    line = bytearray(json.dumps(record).encode())
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    try:
        rows, rejected = read(b'{"n": 1}\n' + bytes(line) + b'\n{"n": 2}\n')
    except SourceError as error:
        assert "holds" in str(error)  # noqa: PT017 - a field that mixes kinds refuses the partition
        return
    assert [rows[0]["n"], rows[-1]["n"]] == [1, 2]
    assert len(rows) + len(rejected) >= 2 + bool(bytes(line).strip())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is not JSON: "),
        ("[]", "is no JSON object"),
        (b'{"a": "\xff"}', "holds bytes that are not UTF-8"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "holds a number of too many digits"),
    ],
)
def test_why_a_line_is_no_record(read, line, reason):
    line = line if isinstance(line, bytes) else line.encode()
    rows, rejected = read(b'{"a": 1}\n\n' + line + b"\n")
    assert rows == [{"a": 1.0}]
    assert rejected[0][0] == "a.jsonl:3"
    assert rejected[0][2].startswith(reason)


def test_a_value_that_does_not_fit_its_declared_type_is_rejected(read):
    rows, rejected = read('{"a": 1.10}\n{"a": "x"}\n', {"a": "decimal(20, 2)"})
    assert rows == [{"a": Decimal("1.10")}]
    assert [(place, json.loads(text)) for place, text, _ in rejected] == [("a.jsonl:2", {"a": "x"})]


def test_a_long_line_an_empty_file_and_a_compressed_one(read, monkeypatch):
    assert read("") == ([], [])
    assert read(gzip.compress(b'\xef\xbb\xbf{"a": 1}'), name="a.jsonl.gz") == ([{"a": 1.0}], [])
    monkeypatch.setattr(lines, "LONGEST", 20)
    monkeypatch.setattr(lines, "_KEPT", 3)
    rows, rejected = read('{"a": 1}\n' + "x" * 50 + '\n{"a": 2}', chunk=8)
    assert (rows, rejected) == ([{"a": 1.0}, {"a": 2.0}], [("a.jsonl:2", "xxx", lines.TOO_LONG)])


def test_published_whole_numbers_are_judged_by_their_digits_however_their_name_is_written(read):
    types = TextTypes({}, {"né": "int", "x": "float"})
    for name in ("né", "n\\u00e9"):
        rows, rejected = read(
            f'{{"{name}": 9007199254740993.0, "x": 0.1}}\n{{"{name}": 7.0, "x": 0.1}}', types
        )
        assert rows == [{"né": 7, "x": 0.1}]
        assert len(rejected) == 1
    assert read('{"x": 9007199254740993.0}', types) == ([{"x": 2.0**53}], [])
