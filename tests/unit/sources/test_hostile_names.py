"""Every hostile name of a column through every reader: refused, where the format can carry it at all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import adbc_driver_sqlite.dbapi as sqlite
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.sources.files.excel_file import read_excel_files
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.parquet_file import read_parquet_files
from evergreen.sources.files.text_files import read_csv_files, read_json_files
from evergreen.sources.files.workbook import Workbook
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.read import read_http
from evergreen.sources.sql.description import SqlSource
from evergreen.sources.sql.read import read_sql
from evergreen.sources.text.dialect import CsvDialect
from tests.unit.sources.hostile_values import NAMES

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
