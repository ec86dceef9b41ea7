"""Every hostile value through every reader: one outcome, where the format can carry the value at all."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi as sqlite
import fastavro
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake.exceptions import DeltaError
from pyarrow import orc

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.sources.files.avro_file import read_avro_files
from evergreen.sources.files.excel_file import read_excel_files
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.orc_file import read_orc_files
from evergreen.sources.files.parquet_file import read_parquet_files
from evergreen.sources.files.text_files import read_csv_files, read_json_files
from evergreen.sources.files.workbook import Workbook
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.read import read_http
from evergreen.sources.sql.description import SqlSource
from evergreen.sources.sql.read import read_sql
from evergreen.sources.text.dialect import CsvDialect
from tests.unit.sources.tables.written import Written, WrittenIceberg

ROOT = Path(__file__).resolve().parents[3]
REJECTED = object()
LONG = "x" * 200_000
MAX = 1.7976931348623157e308


@dataclass(frozen=True)
class Value:
    """A value as text (CSV; JSON and Parquet as a text), as a JSON literal and as one of Arrow.

    `declared` is its column's type; None stands for a format that cannot carry the value.
    """

    declared: str
    outcome: Any
    text: str | None = None
    literal: str | None = None
    arrow: pa.Array | None = None


def same_text(text: str) -> Value:
    return Value("text", text, text, json.dumps(text), pa.array([text]))


def number(declared: str, text: str, outcome: Any, arrow: Any = None) -> Value:
    return Value(declared, outcome, text, text, arrow)


def moment(text: str, outcome: Any, arrow: Any = None) -> Value:
    return Value("time", outcome, text, json.dumps(text), arrow)


def us(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


FIRST, LAST = us(1, 1, 1), us(9999, 12, 31, 23, 59, 59, 999999)

VALUES = {
    # whole numbers
    "2**53": number("int", "9007199254740992", 2**53, pa.array([2.0**53])),
    "2**53 + 1": number("int", "9007199254740993", 2**53 + 1, pa.array([2**53 + 1])),
    "2**53 + 1 with a point": number("int", "9007199254740993.0", REJECTED),
    "1 and a little": number("int", "1.00000000000000000001", REJECTED),
    "2**63 - 1": number("int", "9223372036854775807", 2**63 - 1, pa.array([2**63 - 1])),
    "-2**63": number("int", "-9223372036854775808", -(2**63), pa.array([-(2**63)])),
    "2**63": number("int", "9223372036854775808", REJECTED, pa.array([2**63], pa.uint64())),
    "7.0": number("int", "7.0", 7, pa.array([7.0])),
    "7e0": number("int", "7e0", 7),
    "a half": number("int", "7.5", REJECTED, pa.array([7.5])),
    "leading zeros, declared int": Value("int", 1234, "01234", '"01234"', pa.array(["01234"])),
    "hexadecimal": Value("int", REJECTED, "0x10", '"0x10"', pa.array(["0x10"])),
    # decimals
    "a cent": number("decimal(20, 2)", "0.01", Decimal("0.01"), pa.array([Decimal("0.01")])),
    "38 digits": number("decimal(38, 10)", "9" * 28 + "." + "9" * 10, Decimal("9" * 28 + "." + "9" * 10)),
    "a digit too many": number("decimal(20, 2)", "1.505", REJECTED, pa.array([Decimal("1.505")])),
    "15e-1": number("decimal(20, 2)", "15e-1", Decimal("1.50")),
    "infinity, declared decimal": Value(
        "decimal(20, 2)", REJECTED, "Infinity", '"Infinity"', pa.array(["Infinity"])
    ),
    # float64
    "1e999": number("float", "1e999", REJECTED),
    "-1e999": number("float", "-1e999", REJECTED),
    "the least": number("float", "5e-324", 5e-324, pa.array([5e-324])),
    "the greatest": number("float", "1.7976931348623157e308", MAX, pa.array([MAX])),
    "the most negative": number("float", "-1.7976931348623157e308", -MAX, pa.array([-MAX])),
    "-0.0": number("float", "-0.0", -0.0, pa.array([-0.0])),
    "NaN": number("float", "NaN", None, pa.array([math.nan])),
    "a comma": Value("float", REJECTED, '"1,5"', '"1,5"', pa.array(["1,5"])),
    "1e999 in a list": Value("text", REJECTED, literal='{"a": [1, 1e999]}'),
    "NaN in a list": Value("text", '{"a": [1, null]}', literal='{"a": [1, NaN]}'),
    # text
    "NUL": Value("text", REJECTED, "a\0b", '"a\\u0000b"', pa.array(["a\0b"])),
    "half a surrogate pair": Value(
        "text", REJECTED, None, '"\\ud800"', pa.array([b"\xed\xa0\x80"]).cast(pa.string(), safe=False)
    ),
    "U+FFFF": same_text("a\uffffb"),
    "U+FFFD": same_text("\ufffd"),
    "an emoji": same_text("\U0001f469\u200d\U0001f680"),
    "a mark of direction": same_text("\u202eabc"),
    "blanks": same_text("  "),
    "a blank on each side": same_text(" a "),
    "very long": same_text(LONG),
    "a word for null": same_text("NULL"),
    "leading zeros": same_text("01234"),
    "null": Value("text", None, "", "null", pa.array([None], pa.string())),
    "empty": Value("text", "", None, '""', pa.array([""])),  # which is null in CSV
    # truth values
    "true": Value("boolean", True, "true", "true", pa.array([True])),
    "FALSE": Value("boolean", False, "FALSE", '"FALSE"', pa.array(["FALSE"])),
    "yes": Value("boolean", REJECTED, "yes", '"yes"', pa.array(["yes"])),
    "t": Value("boolean", REJECTED, "t", '"t"', pa.array(["t"])),
    "2 for a truth": Value("boolean", REJECTED, "2", "2", pa.array([2])),
    # days
    "the first day": Value("date", date.min, "0001-01-01", '"0001-01-01"', pa.array([date.min])),
    "the last day": Value("date", date.max, "9999-12-31", '"9999-12-31"', pa.array([date.max])),
    "year 10000": Value("date", REJECTED, "10000-01-01", '"10000-01-01"', pa.array([2932897], pa.date32())),
    "BC": Value("date", REJECTED, "-0001-01-01", '"-0001-01-01"', pa.array([-719893], pa.date32())),
    "a day of no month": Value("date", REJECTED, "2023-02-29", '"2023-02-29"', pa.array(["2023-02-29"])),
    "infinity": Value("date", REJECTED, "infinity", '"infinity"', pa.array([2**31 - 1], pa.date32())),
    # times
    "the first moment": moment("0001-01-01T00:00:00Z", FIRST, pa.array([FIRST])),
    "the last moment": moment("9999-12-31T23:59:59.999999Z", LAST, pa.array([LAST])),
    "behind the last": moment(
        "9999-12-31T23:59:59-01:00", REJECTED, pa.array([253402304399000000], pa.timestamp("us", "UTC"))
    ),
    "9 digits": moment(
        "2024-01-31T05:00:00.123456789Z", REJECTED, pa.array([1706677200123456789], pa.timestamp("ns", "UTC"))
    ),
    "9 digits, the last of them 0": moment(
        "2024-01-31T05:00:00.123456000Z",
        us(2024, 1, 31, 5, 0, 0, 123456),
        pa.array([1706677200123456000], pa.timestamp("ns", "UTC")),
    ),
    "a leap second": moment("2016-12-31T23:59:60Z", REJECTED, pa.array(["2016-12-31T23:59:60Z"])),
    "24:00:00": moment("2024-01-31T24:00:00Z", REJECTED, pa.array(["2024-01-31T24:00:00Z"])),
    "an offset of 14 hours": moment(
        "2024-01-31T05:00:00+14:00", us(2024, 1, 30, 15), pa.array(["2024-01-31T05:00:00+14:00"])
    ),
    "a number for a time": Value("time", REJECTED, "1706677200", '"1706677200"', pa.array(["1706677200"])),
}

# The good row beside each value, by its declared type.
GOOD = {
    "text": "good",
    "int": "7",
    "float": "7",
    "boolean": "true",
    "date": "2024-01-31",
    "time": "2024-01-31T05:00:00Z",
}

# The types of Avro for those of Arrow.
AVRO = {"string": "string", "int64": "long", "double": "double", "bool": "boolean"}

Read = Callable[[Value, dict[str, str]], Rows | None]


@pytest.fixture
def readers(tmp_path, api) -> dict[str, Read]:
    """A reader by its name: the rows of the value beside a column `n` of 1, None if it cannot carry it."""

    def file(name: str, content: bytes) -> list[LocatedFile]:
        (tmp_path / name).write_bytes(content)
        return [LocatedFile(name, tmp_path / name)]

    def http(kind: str, content: bytes, types: dict[str, str]) -> Rows:
        from tests.unit.sources.conftest import Answer

        api.will(Answer(body=content))
        described = {"conn_id": "weather_api", "path": "/v1", "records": "", "format": kind, "types": types}
        return read_http(HttpSource.model_validate(described), api.connection(), "2024-01-31")

    def csv(value: Value) -> bytes | None:
        return None if value.text is None else f"n,x\n1,{value.text}\n".encode()

    def record(value: Value) -> bytes | None:
        return None if value.literal is None else f'{{"n": 1, "x": {value.literal}}}'.encode()

    def csv_file(value: Value, types: dict[str, str]) -> Rows | None:
        content = csv(value)
        return content and read_csv_files(file("x.csv", content), CsvDialect(), types)

    def csv_http(value: Value, types: dict[str, str]) -> Rows | None:
        content = csv(value)
        return content and http("csv", content, types)

    def json_file(value: Value, types: dict[str, str]) -> Rows | None:
        content = record(value)
        return content and read_json_files(file("x.jsonl", content + b"\n"), types)

    def json_http(value: Value, types: dict[str, str]) -> Rows | None:
        content = record(value)
        return content and http("json", b"[" + content + b"]", types)

    def parquet(value: Value, types: dict[str, str]) -> Rows | None:
        if value.arrow is None:
            return None
        pq.write_table(pa.table({"n": [1], "x": value.arrow}), tmp_path / "x.parquet")
        return read_parquet_files([LocatedFile("x.parquet", tmp_path / "x.parquet")], types)

    def orc_file(value: Value, types: dict[str, str]) -> Rows | None:
        # Arrow's ORC has no unsigned numbers, and times of the years 1678 to 2261 alone.
        if value.arrow is None or value.arrow.type == pa.timestamp("us", "UTC"):
            return None
        try:
            orc.write_table(pa.table({"n": [1], "x": value.arrow}), tmp_path / "x.orc")
        except pa.ArrowNotImplementedError:
            return None
        return read_orc_files([LocatedFile("x.orc", tmp_path / "x.orc")], types)

    def excel(value: Value, types: dict[str, str]) -> Rows | None:
        # A cell has at most 32,767 letters, and one of blanks alone is read as empty.
        if not (value.text and value.text.strip()) or len(value.text) > 32_767:
            return None
        book = openpyxl.Workbook()
        book.active.append(["n", "x"])
        try:
            book.active.append([1, value.text.strip('"')])
        except openpyxl.utils.exceptions.IllegalCharacterError:
            return None
        book.save(tmp_path / "x.xlsx")
        return read_excel_files([LocatedFile("x.xlsx", tmp_path / "x.xlsx")], Workbook(), types)

    def avro(value: Value, types: dict[str, str]) -> Rows | None:
        if value.arrow is None or not (kind := AVRO.get(str(value.arrow.type))):
            return None
        try:
            written = value.arrow[0].as_py()
        except UnicodeDecodeError:  # which its writer does not take
            return None
        schema = {"type": "record", "name": "r", "fields": [{"name": "x", "type": ["null", kind]}]}
        with (tmp_path / "x.avro").open("wb") as file:
            fastavro.writer(file, fastavro.parse_schema(schema), [{"x": written}])
        return read_avro_files([LocatedFile("x.avro", tmp_path / "x.avro")], types)

    def sql(value: Value, types: dict[str, str]) -> Rows | None:
        # SQLite has whole numbers, floats and texts; a text with a NUL ends there for its driver.
        if value.text is None or "\0" in value.text or value.text == "":
            return None
        (tmp_path / "x.db").unlink(missing_ok=True)
        with sqlite.connect(str(tmp_path / "x.db"), autocommit=True) as session, session.cursor() as cursor:
            cursor.execute("CREATE TABLE t (n INTEGER, x TEXT)")
            cursor.execute("INSERT INTO t VALUES (1, ?)", (value.text.strip('"'),))
        connection = Connection(conn_id="shop", conn_type="sqlite", host=str(tmp_path / "x.db"))
        described = SqlSource.model_validate({"conn_id": "shop", "table": "t", "types": types})
        return read_sql(described, connection, tmp_path, None, None)

    def table(kind: type[Written]) -> Read:
        def read(value: Value, types: dict[str, str]) -> Rows | None:
            # What has no type of its own in the tables (nanoseconds, uint64), they cannot carry, nor bytes
            # that are no text: reading a Delta table with these ends with an error.
            if value.arrow is None or value.arrow.type in (pa.uint64(), pa.timestamp("ns", "UTC")):
                return None
            if value is VALUES["half a surrogate pair"]:
                return None
            folder = tmp_path / f"{kind.kind}-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            written = kind(folder)
            try:
                written.append(pa.table({"n": [1], "x": value.arrow}))
            except (OverflowError, DeltaError):  # not every writer has days outside the years 1 to 9999
                return None
            return written.read(types=types)

        return read

    return {
        "CSV file": csv_file,
        "CSV over HTTP": csv_http,
        "JSON lines": json_file,
        "JSON over HTTP": json_http,
        "Parquet": parquet,
        "ORC": orc_file,
        "Avro": avro,
        "Excel": excel,
        "SQL": sql,
        "Delta": table(Written),
        "Iceberg": table(WrittenIceberg),
    }


def outcome(rows: Rows) -> Any:
    """The value of the one row, or `REJECTED` with a reason and a place."""
    found = rows.table().to_pylist()
    if found:
        assert not rows.rejected
        assert len(found) == 1
        return found[0]["x"]
    (rejected,) = rows.rejected
    assert rejected.reason
    assert rejected.place
    assert "\n" not in rejected.reason
    return REJECTED


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and one == other


def test_a_number_beyond_float64_in_an_object_that_is_not_declared_is_rejected_as_it_was(readers):
    value = VALUES["1e999 in a list"]
    for reader in ("JSON lines", "JSON over HTTP"):
        rows = readers[reader](value, {})
        assert outcome(rows) is REJECTED
        (rejected,) = rows.rejected
        assert rejected.reason == "field 'x': a number that is not finite, or beyond the range of float64"
        assert json.loads(rejected.text) == {"n": 1, "x": {"a": [1, "inf"]}}


def test_each_value_has_one_outcome_whatever_reads_it(readers):
    assert len(VALUES) > 50
    differing, cells = [], 0
    for name, value in VALUES.items():
        for reader, read in readers.items():
            rows = read(value, {"x": value.declared})
            if rows is None:
                continue
            cells += 1
            if not same(found := outcome(rows), value.outcome):
                reasons = [one.reason for one in rows.rejected]
                differing.append((name, reader, found, reasons, value.outcome))
    assert not differing, "\n".join(map(str, differing))
    assert cells > 5 * len(VALUES) - 20


NAMES = {
    "two that differ in case": ("Val", "val"),
    "the same in another alphabet": ("Größe", "GRÖSSE".replace("SS", "ß")),
    "the lake's own": ("Partition", "b"),
    "an empty one": ("", "b"),
    "a blank one": (" ", "b"),
    "one with a NUL": ("a\0b", "b"),
    "one twice": ("b", "b"),
}
# What a format or a server cannot carry, or settles by its own rules.
NO_NAMES = {
    "CSV": {"one with a NUL"},
    "JSON": {"one twice"},
    "JSON over HTTP": {"one twice"},
    "Excel": {"one with a NUL"},
    "SQL": {"two that differ in case", "one with a NUL", "one twice"},
}


@pytest.fixture
def named(tmp_path, api) -> dict[str, Callable[[tuple[str, str]], Rows]]:
    """A reader by its name: one row of 1 and 2 under two names."""

    def located(name: str) -> list[LocatedFile]:
        return [LocatedFile(name, tmp_path / name)]

    def csv(names: tuple[str, str]) -> Rows:
        header = ",".join(f'"{name}"' for name in names)
        (tmp_path / "x.csv").write_text(f"{header}\n1,2\n")
        return read_csv_files(located("x.csv"), CsvDialect(), {})

    def json_lines(names: tuple[str, str]) -> Rows:
        (tmp_path / "x.jsonl").write_text(json.dumps(dict(zip(names, (1, 2), strict=True))) + "\n")
        return read_json_files(located("x.jsonl"), {})

    def json_http(names: tuple[str, str]) -> Rows:
        api.will([dict(zip(names, (1, 2), strict=True))])
        described = {"conn_id": "weather_api", "path": "/v1", "records": ""}
        return read_http(HttpSource.model_validate(described), api.connection(), "2024-01-31")

    def parquet(names: tuple[str, str]) -> Rows:
        pq.write_table(pa.table([[1], [2]], names=list(names)), tmp_path / "x.parquet")
        return read_parquet_files(located("x.parquet"), {})

    def excel(names: tuple[str, str]) -> Rows:
        book = openpyxl.Workbook()
        book.active.append(list(names))
        book.active.append([1, 2])
        book.save(tmp_path / "x.xlsx")
        return read_excel_files(located("x.xlsx"), Workbook(), {})

    def sql(names: tuple[str, str]) -> Rows:
        (tmp_path / "x.db").unlink(missing_ok=True)
        columns = ", ".join(f'"{name}" INTEGER' for name in names)
        with sqlite.connect(str(tmp_path / "x.db"), autocommit=True) as session, session.cursor() as cursor:
            cursor.execute(f"CREATE TABLE t ({columns})")
            cursor.execute("INSERT INTO t VALUES (1, 2)")
        connection = Connection(conn_id="shop", conn_type="sqlite", host=str(tmp_path / "x.db"))
        return read_sql(
            SqlSource.model_validate({"conn_id": "shop", "table": "t"}), connection, tmp_path, None, None
        )

    return {
        "CSV": csv,
        "JSON": json_lines,
        "JSON over HTTP": json_http,
        "Parquet": parquet,
        "Excel": excel,
        "SQL": sql,
    }


def refusal(read: Callable[[tuple[str, str]], Rows], names: tuple[str, str]) -> str:
    try:
        return f"read: {read(names).table().to_pylist()}"
    except SourceError as error:
        return str(error)


def test_each_name_is_refused_whatever_reads_it(named):
    differing, cells = [], 0
    for what, names in NAMES.items():
        for reader, read in named.items():
            if what in NO_NAMES.get(reader, set()):
                continue
            cells += 1
            told = refusal(read, names)
            if not re.fullmatch(r".*column.* (rename|give it one).*", told):
                differing.append((what, reader, told))
    assert not differing, "\n".join(map(str, differing))
    assert cells > 5 * len(NAMES) - 10


def test_a_declared_name_that_is_misspelt_is_refused_whatever_reads_it(tmp_path):
    types = {"amout": "decimal(20, 2)"}
    (tmp_path / "x.csv").write_text("amount,n\n1,2\n")
    (tmp_path / "x.jsonl").write_text('{"amount": 1, "n": 2}\n')
    pq.write_table(pa.table({"amount": [1], "n": [2]}), tmp_path / "x.parquet")
    for name, read in (
        ("x.csv", lambda files: read_csv_files(files, CsvDialect(), types)),
        ("x.jsonl", lambda files: read_json_files(files, types)),
        ("x.parquet", lambda files: read_parquet_files(files, types)),
    ):
        with pytest.raises(SourceError, match=r"no column 'amout' \(there: amount, n\)"):
            read([LocatedFile(name, tmp_path / name)]).table()
    absent = read_json_files([LocatedFile("x.jsonl", tmp_path / "x.jsonl")], {"discount": "float"}).table()
    assert absent.to_pylist() == [{"amount": 1.0, "n": 2.0, "discount": None}]


def test_each_line_of_csv_has_its_own_fault(tmp_path):
    (tmp_path / "x.csv").write_bytes(b'a,b,c\n1,"open,2\n3,c,3\n4,\xff,4\n5,"x",5\n')
    rows = read_csv_files([LocatedFile("x.csv", tmp_path / "x.csv")], CsvDialect(), {})
    assert [row["b"] for row in rows.table().to_pylist()] == ["c", "x"]
    assert [(one.place, one.reason) for one in rows.rejected] == [
        ("x.csv:2", "has text after a closing quote"),
        ("x.csv:4", "holds bytes that are not UTF-8"),
    ]


def test_times_of_int96_are_what_they_are(tmp_path):
    times = pa.array([datetime(9999, 12, 31), datetime(1, 1, 1), None], pa.timestamp("us"))  # noqa: DTZ001
    for array, found in (
        (times, [us(9999, 12, 31), us(1, 1, 1), None]),
        (pa.array([-1, 2000, 1999], pa.timestamp("ns")), [us(1970, 1, 1, 0, 0, 0, 2)]),
    ):
        path = tmp_path / "x.parquet"
        pq.write_table(pa.table({"t": array}), path, use_deprecated_int96_timestamps=True)
        rows = read_parquet_files([LocatedFile("x.parquet", path)], {})
        assert rows.table().column("t").to_pylist() == found
        assert [one.place for one in rows.rejected] == [
            f"x.parquet, row {n}" for n in (1, 3) if len(found) == 1
        ]


def documented() -> dict[str, str]:
    """The outcome of each value that docs/types.md names."""
    page = (ROOT / "docs" / "types.md").read_text(encoding="utf-8")
    table = page.partition("## Hostile values")[2].partition("\n- ")[0]
    rows = [line.split("|")[2:4] for line in table.splitlines() if line.startswith("| ")][1:]
    named = [(name, word.strip()) for word, names in rows for name in re.findall("`([^`]*)`", names)]
    assert len(named) == len(dict(named))
    return dict(named)


def word(outcome: Any) -> str:
    if outcome is REJECTED:
        return "quarantine"
    return "null" if outcome is None or "null" in str(outcome) else "kept"


def test_the_page_has_each_value_and_its_outcome():
    values = {name: word(value.outcome) for name, value in VALUES.items()}
    assert documented() == {**values, **dict.fromkeys(NAMES, "refused")}
