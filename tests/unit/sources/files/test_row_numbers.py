"""Rows numbered by their place in the files, in all formats alike."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc
from pydantic import ValidationError

from evergreen.calendar import Calendar, Grain
from evergreen.connections import from_environment
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.sources import Source
from evergreen.sources.files.description import FileSource
from evergreen.sources.files.read import read_file
from evergreen.sources.kind import Wanted
from evergreen.storage import Storage

VALUES = [[7, 7, 5], [7, 4]]
"""Of two files, in their order."""


def _avro(path: Path, values: list[int]) -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "x", "type": "long"}]}
    with path.open("wb") as file:
        fastavro.writer(file, schema, [{"x": value} for value in values])


def _excel(path: Path, values: list[int]) -> None:
    book = openpyxl.Workbook()
    for value in ["x", *values]:
        book.active.append([value])
    book.save(path)


def _csv(values: list[int]) -> bytes:
    return ("x\n" + "\n\n".join(map(str, values)) + "\n").encode()


WRITE = {
    "csv": lambda path, values: path.write_bytes(_csv(values)),
    "csv.gz": lambda path, values: path.write_bytes(gzip.compress(_csv(values))),
    "jsonl": lambda path, values: path.write_text("".join(f'{{"x": {value}}}\n' for value in values)),
    "parquet": lambda path, values: pq.write_table(pa.table({"x": values}), path),
    "orc": lambda path, values: orc.write_table(pa.table({"x": values}), path),
    "avro": _avro,
    "xlsx": _excel,
}


def rows_of(folder: Path, storage: Storage, path: str, **source: Any) -> Rows:
    described = FileSource(path=path, row_number="row", **source)
    return read_file(described, folder, storage, "2024-01-01", datetime(2024, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("suffix", WRITE)
def test_numbers_go_on_over_files_by_name(tmp_path: Path, storage: Storage, suffix: str) -> None:
    for name, values in zip("ba", reversed(VALUES), strict=True):
        WRITE[suffix](tmp_path / f"{name}.{suffix}", values)
    rows = rows_of(tmp_path, storage, f"*.{suffix}")
    assert rows.schema.field("row").type == pa.int64()
    assert rows.table().to_pydict() == {"x": [7, 7, 5, 7, 4], "row": [1, 2, 3, 4, 5]}


def test_a_record_that_cannot_be_read_is_not_counted_over(tmp_path: Path, storage: Storage) -> None:
    (tmp_path / "a.csv").write_text("x\n1\nmany\n3\n")
    with pytest.raises(SourceError, match=r"a\.csv:3: .*: the rows after it cannot be numbered"):
        rows_of(tmp_path, storage, "a.csv", types={"x": "int"}).table()
    pq.write_table(pa.table({"x": ["1", "many", "3"]}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"a\.parquet, row 2: .*: the rows after it cannot be numbered"):
        rows_of(tmp_path, storage, "a.parquet", types={"x": "int"}).table()


def test_a_column_of_its_name_is_no_row_number(tmp_path: Path, storage: Storage) -> None:
    (tmp_path / "a.csv").write_text("row\n1\n")
    with pytest.raises(SourceError, match="there is a column 'row' already"):
        rows_of(tmp_path, storage, "a.csv")
    with pytest.raises(ValidationError, match="take another name"):
        FileSource(path="a.csv", row_number="row", types={"row": "int"})


def test_a_file_that_is_cut_is_numbered_as_a_whole(tmp_path: Path, storage: Storage) -> None:
    (tmp_path / "a.csv").write_text("at,x\n2024-01-01,1\n2024-01-02,2\n,9\n2024-01-01,3\n2024-01-02,4\n")
    source = Source.model_validate({"file": {"path": "a.csv", "time_column": "at", "row_number": "row"}})
    rows = source.read(Wanted("2024-01-02", Calendar(Grain.DAILY), tmp_path, storage, from_environment))
    assert rows.table().column("row").to_pylist() == [2, 5]
