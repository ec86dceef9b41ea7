"""The records of CSV text, with Python's csv module as the independent reader."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.sources.text import csv_records
from evergreen.sources.text.csv_records import records
from evergreen.sources.text.dialect import CsvDialect

PLAIN = CsvDialect()

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
FIELD = TEXT | st.sampled_from(["", '"', '""', ",", "\n", "\r\n", "\r", "a,b", 'a"b', "é", "1"])


def fields(text, delimiter=","):
    return [
        (found.line, found.fields or found.reason) for found in records(text, CsvDialect(delimiter=delimiter))
    ]


@given(
    st.lists(st.lists(FIELD, min_size=2, max_size=5), max_size=8),
    st.sampled_from([",", ";", "\t", "|"]),
    # Minimal quoting leaves a lone CR unquoted where lines end in LF alone.
    st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
)
def test_what_python_writes_is_read_as_python_reads_it(rows, delimiter, form):
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, lineterminator=form[0], quoting=form[1]).writerows(rows)
    text = written.getvalue()
    found = list(records(text.encode(), CsvDialect(delimiter=delimiter)))
    assert [record.fields for record in found] == rows
    assert rows == list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    assert [record.line for record in found] == [
        1 + text.count("\n", 0, begin) for begin in begins(text, found)
    ]


def begins(text, found):
    return [len(text.encode()[: record.begin].decode()) for record in found]


@given(st.binary(max_size=200) | st.text('a,"\n\r\0é', max_size=40).map(str.encode))
def test_every_byte_is_in_one_record_or_a_blank_line(text):
    at, line = 0, 1
    for record in records(text, PLAIN):
        assert not text[at : record.begin].strip(b"\r\n")
        line += text.count(b"\n", at, record.begin)
        assert (record.line, bool(record.reason)) == (line, not record.fields)
        line += text.count(b"\n", record.begin, record.end)
        at = record.end
    assert not text[at:].strip(b"\r\n")


@given(st.text('a,"\n\r', max_size=60).map(str.encode), st.integers(0, 60))
def test_text_that_comes_in_two_parts_gives_the_same_records(text, cut):
    cut = text.find(b"\n", cut) + 1
    first = list(records(text[:cut], PLAIN, 1, is_last=False))
    used = first[-1].end if first else 0
    rest = records(text[used:], PLAIN, 1 + text.count(b"\n", 0, used))
    moved = [record._replace(begin=record.begin + used, end=record.end + used) for record in rest]
    assert first + moved == list(records(text, PLAIN))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'1,"a\nb"\r\n2,c\n', [(1, ["1", "a\nb"]), (3, ["2", "c"])]),
        (b'1,5" pipe\n', [(1, ["1", '5" pipe'])]),
        (b"\n\r\n1,2", [(3, ["1", "2"])]),
        (b'""\n', [(1, [""])]),
        (b'1,"a"b\n2,c\n', [(1, "has text after a closing quote"), (2, ["2", "c"])]),
        (b'1,"a\n2,c\n', [(1, csv_records.UNCLOSED), (2, ["2", "c"])]),
        (b'1,"a\n2,"c"\n', [(1, "has text after a closing quote"), (2, ["2", "c"])]),
        (b"1,\xff\n2,c\n", [(1, "holds bytes that are not UTF-8"), (2, ["2", "c"])]),
        (b'1,"\xff"\n', [(1, "holds bytes that are not UTF-8")]),
        (b"1,\0\n", [(1, "has a NUL byte")]),
        (b"1\r,2\n", [(1, "has a carriage return that ends no line")]),
        (b'"1",2\r,3\n', [(1, "has a carriage return that ends no line")]),
    ],
)
def test_records_and_what_is_wrong_with_them(text, found):
    assert fields(text) == found


def test_an_open_quote_waits_for_more_text_but_not_for_ever(monkeypatch):
    assert list(records(b'1,"a\n', PLAIN, is_last=False)) == []
    monkeypatch.setattr(csv_records, "LONGEST", 4)
    assert [found.reason for found in records(b'1,"a\n', PLAIN, is_last=False)] == [csv_records.UNCLOSED]
    assert [found.reason for found in records(b'1,"abcde"\n', PLAIN)] == [csv_records.UNCLOSED]
