"""Every hostile value through every reader: one outcome, where the format can carry the value at all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
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
from tests.unit.sources.hostile_values import NAMES, REJECTED, VALUES, Value, outcome, same
from tests.unit.sources.tables.written import Written, WrittenIceberg

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


ROOT = Path(__file__).resolve().parents[3]


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
