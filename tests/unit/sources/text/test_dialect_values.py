"""Tables of values in random dialects, from files and an API, written by Python's csv module and codecs."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.text_files import read_csv_files
from evergreen.sources.http.answer import read_content
from evergreen.sources.http.client import Answer
from evergreen.sources.http.description import HttpSource
from evergreen.sources.text.dialect import CsvDialect
from evergreen.sources.text.spool import Spool

NAMES = ["id", "amount", "price", "day", "at", "note"]
NUMBERS = st.floats(-1e12, 1e12).map(lambda value: round(value, 3))
PRICES = st.decimals(-(10**9), 10**9, places=2, allow_nan=False, allow_infinity=False)
NOTES = st.text("aé€ß;,|\t'\"\n#-x", min_size=1, max_size=5).map(lambda text: f"n{text}")
ROW = st.tuples(
    st.none() | st.integers(-(10**12), 10**12),
    st.none() | NUMBERS,
    st.none() | PRICES,
    st.none() | st.dates(date(1900, 1, 1), date(2099, 12, 31)),
    st.none() | st.datetimes(datetime.fromisoformat("1970-01-01"), datetime.fromisoformat("2099-12-31")),
    st.none() | NOTES,
)
TABLES = st.lists(ROW, max_size=8)
DAYS = ["%d.%m.%Y", "%Y%m%d", "%m/%d/%Y", "%Y-%m-%d"]


@st.composite
def dialects(draw):
    """A dialect, and the form of its dates."""
    decimal = draw(st.sampled_from([".", ","]))
    signs = [sign for sign in (None, ".", ",", " ", "'", "_") if sign != decimal]
    return {
        "encoding": draw(st.sampled_from(["utf-8", "utf-16", "cp1252", "utf-8-sig"])),
        "delimiter": draw(st.sampled_from([",", ";", "\t", "|"])),
        "quote": draw(st.sampled_from(['"', "'"])),
        "decimal": decimal,
        "thousands": draw(st.sampled_from(signs)),
        "nulls": draw(st.sampled_from([(), ("NA",), ("-", "\\N")])),
        "skip": draw(st.integers(0, 2)),
    }, draw(st.sampled_from(DAYS))


def number_text(value: int | float | Decimal, dialect: dict[str, Any]) -> str:
    plain = format(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), "f")
    whole, _, rest = plain.partition(".")
    if dialect["thousands"]:
        whole = f"{int(whole.lstrip('-')):,}".replace(",", dialect["thousands"])
        whole = f"-{whole}" if plain.startswith("-") else whole
    return f"{whole}{dialect['decimal']}{rest}" if rest else whole


def value_text(value: Any, dialect: dict[str, Any], day: str) -> str:
    if value is None:
        return (*dialect["nulls"], "")[0]
    if isinstance(value, datetime):
        return value.strftime(f"{day} %H:%M:%S.%f")
    if isinstance(value, date):
        return value.strftime(day)
    return value if isinstance(value, str) else number_text(value, dialect)


def content(table, dialect, day, broken=()):
    """The bytes of a table, with a broken record before each of the rows of these numbers."""
    out = io.StringIO(newline="")
    out.writelines("a title\n" for _ in range(dialect["skip"]))
    # A quote is doubled or closed only where it must be; Python quotes what holds any sign of the dialect.
    writer = csv.writer(out, delimiter=dialect["delimiter"], quotechar=dialect["quote"])
    writer.writerow(NAMES)
    for number, row in enumerate(table):
        if number in broken:
            writer.writerow(["x", "1"])
        writer.writerow([value_text(value, dialect, day) for value in row])
    return out.getvalue().encode(dialect["encoding"])


def types(day):
    return {
        "id": "int",
        "amount": "float",
        "price": "decimal(12, 2)",
        "day": f"date {day}",
        "at": f"time {day} %H:%M:%S.%f",
        "note": "text",
    }


@pytest.fixture(scope="module")
def from_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("values") / "a.csv"

    def read(body, dialect, declared):
        path.write_bytes(body)
        return read_csv_files([LocatedFile("a.csv", path)], CsvDialect(**dialect), declared)

    return read


def from_api(body, dialect, declared):
    source = HttpSource(conn_id="api", path="/v1", format="csv", types=declared, csv=dialect)
    answered = Answer(200, httpx.Headers({"Content-Type": "text/csv"}), body, "http://api/v1")
    spool = Spool(declared)
    spool.expect(NAMES)
    spool.keep(read_content(source, answered).prepare(spool, 1))
    return spool.rows()


def same(found, table):
    """The rows of the table, times in UTC."""
    expected = [
        tuple(value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for value in row)
        for row in table
    ]
    return [tuple(row.values()) for row in found.to_pylist()] == expected


@given(TABLES, dialects())
def test_declared_values_come_back_as_they_were(from_file, table, said):
    dialect, day = said
    body = content(table, dialect, day)
    for rows in (from_file(body, dialect, types(day)), from_api(body, dialect, types(day))):
        found = rows.table()
        assert rows.rejected == []
        assert same(found, table)


@given(TABLES, dialects(), st.sets(st.integers(0, 7)))
def test_broken_records_take_no_other_with_them(from_file, table, said, broken):
    dialect, day = said
    body = content(table, dialect, day, broken)
    for rows in (from_file(body, dialect, types(day)), from_api(body, dialect, types(day))):
        assert same(rows.table(), table)
        there = [number for number in broken if number < len(table)]
        assert [record.text for record in rows.rejected] == [f"x{dialect['delimiter']}1"] * len(there)


@given(st.lists(st.none() | NUMBERS | st.integers(-(10**12), 10**12), min_size=1, max_size=6), dialects())
def test_undeclared_numbers_of_a_dialect_are_numbers(from_file, values, said):
    dialect, day = said
    table = [(value, None, None, None, None, "n") for value in values]
    found = from_file(content(table, dialect, day), dialect, {}).table().column("id")
    assert found.to_pylist() == [None if value is None else float(value) for value in values]


def test_an_api_says_its_charset_and_the_description_wins():
    body = "name\nMüller\n".encode("cp1252")
    source = HttpSource(conn_id="api", path="/v1", format="csv")

    def names(source, content_type):
        answered = Answer(200, httpx.Headers({"Content-Type": content_type}), body, "http://api/v1")
        spool = Spool()
        spool.keep(read_content(source, answered).prepare(spool, 1))
        rows = spool.rows()
        return rows.table().to_pylist(), [record.reason for record in rows.rejected]

    assert names(source, "text/csv; charset=windows-1252") == ([{"name": "Müller"}], [])
    said = source.model_copy(update={"csv": CsvDialect(encoding="cp1252")})
    assert names(said, "text/csv; charset=utf-8") == ([{"name": "Müller"}], [])
    assert names(source, "text/csv") == ([], ["holds bytes that are not UTF-8"])
