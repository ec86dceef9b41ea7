from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from evergreen.errors import SourceError
from evergreen.sources.files.description import FileSource
from evergreen.sources.files.read import read_file

START = datetime(2011, 1, 1, tzinfo=UTC)
TIME = pa.timestamp("us", tz="UTC")


@pytest.fixture
def read(tmp_path, storage):
    def read(text, **changes):
        (tmp_path / "rows.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        source = FileSource(**{"path": "rows.csv", **changes})
        return read_file(source, tmp_path, storage, "2011-01-01", START)

    return read


def test_types_do_not_depend_on_the_values_of_one_day(read):
    whole, broken = read("a,b\n1,x\n"), read("a,b\n1.5,y\n")
    assert whole.schema == broken.schema
    assert whole.table().to_pylist() == [{"a": 1.0, "b": "x"}]


def test_an_empty_field_is_null_in_numbers_and_in_text(read):
    assert read("a,b,c\n1,,x\n,y,\n").table().to_pylist() == [
        {"a": 1.0, "b": None, "c": "x"},
        {"a": None, "b": "y", "c": None},
    ]


@pytest.mark.parametrize(
    "text",
    ["2011-01-01 05:00:00", "2011-01-01T05:00:00Z", "2011-01-01T06:00:00+01:00", "2011-01-01T05:00:00.000Z"],
)
def test_times_are_utc(read, text):
    rows = read(f"at,x\n{text},1\n", time_column="at")
    assert rows.schema.field("at").type == TIME
    assert rows.table().column("at").to_pylist() == [datetime(2011, 1, 1, 5, tzinfo=UTC)]


def test_a_day_is_its_midnight_where_it_is_the_time(read):
    assert read("at\n2011-01-01\n", time_column="at").table().column("at").to_pylist() == [START]


def test_a_header_alone_is_no_rows(read):
    table = read("a,b\n", time_column="a").table()
    assert (table.num_rows, table.column_names, table.schema.field("a").type) == (0, ["a", "b"], TIME)


def test_files_named_by_the_partition(tmp_path, storage):
    (tmp_path / "2011/01").mkdir(parents=True)
    for name, value in (("2011-01-01.csv", 1), ("2011/01/b.csv", 3), ("2011/01/a.csv", 2)):
        (tmp_path / name).write_text(f"a\n{value}\n")

    def values(path):
        rows = read_file(FileSource(path=path), tmp_path, storage, "2011-01-01", START)
        return rows.table().column("a").to_pylist()

    assert values("{partition}.csv") == [1]
    assert values("{partition:%Y/%m}/*.csv") == [2, 3]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path, storage, kind, packed):
    records = [{"at": "2011-01-01T05:00:00Z", "x": 1.5}, {"at": "2011-01-01T06:00:00Z", "x": None}]
    path = tmp_path / f"rows.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(records), path, compression="zstd" if packed else "none")
    elif kind == "csv":
        path.write_text("at,x\n" + "".join(f"{row['at']},{row['x'] or ''}\n" for row in records))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in records))
    if packed and kind != "parquet":
        body, path = path.read_bytes(), path.with_suffix(f".{kind}.gz")
        path.write_bytes(gzip.compress(body))
    types = {"at": "time"} if kind == "parquet" else {}
    source = FileSource(path=path.name, time_column="at", types=types)
    rows = read_file(source, tmp_path, storage, "2011-01-01", START)
    assert rows.schema == pa.schema([("at", TIME), ("x", pa.float64())])
    assert rows.table().to_pylist() == [
        {"at": datetime(2011, 1, 1, 5, tzinfo=UTC), "x": 1.5},
        {"at": datetime(2011, 1, 1, 6, tzinfo=UTC), "x": None},
    ]


def test_a_missing_file_is_named(tmp_path, storage):
    with pytest.raises(SourceError, match=r"file .*none\.csv cannot be read .*put it there or change"):
        read_file(FileSource(path="none.csv"), tmp_path, storage, "snapshot", None)
    with pytest.raises(SourceError, match=r"no file matches snapshot/\*\.csv in .*: put one there or change"):
        read_file(FileSource(path="{partition}/*.csv"), tmp_path, storage, "snapshot", None)


def test_a_line_that_is_broken_is_rejected(read):
    rows = read("a,b\n1,2\n3\n4,5\n")
    assert rows.table().num_rows == 2
    assert [(bad.text, bad.place, bad.reason) for bad in rows.rejected] == [
        ("3", "rows.csv:3", "has 1 field instead of 2")
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r"rows\.csv is not a CSV file with a header"),
        ("a,a\n1,2\n", "column 'a' comes more than once"),
        ("at\nsoon\n", "column 'at' holds no times: write them like"),
        ("a\n1\n", r"has no column 'at' \(there: a\)"),
    ],
)
def test_columns_that_are_wrong(read, text, problem):
    with pytest.raises(SourceError, match=problem):
        read(text, time_column="at")


def test_a_name_that_does_not_tell_the_format(tmp_path, storage):
    (tmp_path / "rows.txt").write_text("a\n1\n")
    (tmp_path / "rows.csv").write_text("a\n2\n")
    (tmp_path / "rows.jsonl").write_text('{"a": 3}')

    def read(**source):
        return read_file(FileSource(**source), tmp_path, storage, "snapshot", None)

    assert read(path="rows.txt", format="csv").table().to_pylist() == [{"a": 1.0}]
    with pytest.raises(SourceError, match=r"rows\.txt has a name that does not tell its format"):
        read(path="rows.txt")
    with pytest.raises(SourceError, match=r"matches files of different formats \(csv, json_lines\)"):
        read(path="rows.[cj]s*")


def nameless_files():
    """The open files that have no name any more."""
    links = (os.path.realpath(link) for link in Path("/proc/self/fd").iterdir())
    return sorted(link for link in links if link.endswith("(deleted)"))


def test_an_abandoned_read_gives_its_files_back(read):
    before = nameless_files()
    rows = read("a\n2011-01-01\n", time_column="a")
    assert len(nameless_files()) == len(before) + 1
    next(iter(rows))
    rows.close()
    assert nameless_files() == before


def test_a_file_in_s3(tmp_path, storage):
    storage.stage("in/rows.csv", b"a,b\n1,x\n")
    source = FileSource(path=f"s3://{storage.bucket}/in/rows.csv")
    rows = read_file(source, tmp_path, storage, "snapshot", None)
    assert rows.table().to_pylist() == [{"a": 1.0, "b": "x"}]
    with pytest.raises(SourceError, match=f"s3://{storage.bucket}/in/none.csv does not exist"):
        read_file(FileSource(path=f"s3://{storage.bucket}/in/none.csv"), tmp_path, storage, "snapshot", None)


@pytest.mark.parametrize(
    "wrong",
    [{"path": ""}, {"path": "{day}.csv"}, {"path": "{partition.csv"}]
    + [{"path": "a.csv", "delimiter": letter} for letter in ('"', "\n", "\0", "é", "::")],
)
def test_what_a_description_may_not_say(wrong):
    with pytest.raises(ValidationError):
        FileSource(**wrong)
