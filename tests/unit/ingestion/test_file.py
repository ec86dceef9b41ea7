from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from evergreen.errors import SourceError
from evergreen.ingestion.file import read_file
from evergreen.spec import FileSource


@pytest.fixture
def read(tmp_path, storage):
    def read(text, **changes):
        (tmp_path / "rows.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_file(FileSource(**{"path": "rows.csv", **changes}), tmp_path, storage, "2011-01-01")

    return read


def test_types_do_not_depend_on_the_values_of_one_day(read):
    whole, broken = read("a,b\n1,x\n"), read("a,b\n1.5,y\n")
    assert whole.schema == broken.schema
    assert whole.to_pylist() == [{"a": 1.0, "b": "x"}]


def test_an_empty_field_is_null_in_numbers_and_in_text(read):
    assert read("a,b,c\n1,,x\n,y,\n").to_pylist() == [
        {"a": 1.0, "b": None, "c": "x"},
        {"a": None, "b": "y", "c": None},
    ]


@pytest.mark.parametrize(
    "text",
    ["2011-01-01 05:00:00", "2011-01-01T05:00:00Z", "2011-01-01T06:00:00+01:00", "2011-01-01T05:00:00.000Z"],
)
def test_times_are_utc(read, text):
    table = read(f"at,x\n{text},1\n", time_column="at")
    assert table.schema.field("at").type == pa.timestamp("us", tz="UTC")
    assert table.column("at").to_pylist() == [datetime(2011, 1, 1, 5, tzinfo=UTC)]


def test_a_day_is_its_midnight_where_it_is_the_time(read):
    assert read("at\n2011-01-01\n", time_column="at").column("at").to_pylist() == [
        datetime(2011, 1, 1, tzinfo=UTC)
    ]


def test_a_header_alone_is_no_rows(read):
    table = read("a,b\n")
    assert (table.num_rows, table.column_names) == (0, ["a", "b"])


def test_the_partition_is_filled_into_the_path(tmp_path, storage):
    (tmp_path / "2011-01-01.csv").write_text("a\n1\n")
    table = read_file(FileSource(path="{partition}.csv"), tmp_path, storage, "2011-01-01")
    assert table.num_rows == 1


def test_a_missing_file_is_named(tmp_path, storage):
    with pytest.raises(SourceError, match=r"file .*none\.csv cannot be read .*put it there or change"):
        read_file(FileSource(path="none.csv"), tmp_path, storage, "snapshot")


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n3\n"])
def test_what_is_no_csv_file(read, text):
    with pytest.raises(SourceError, match=r"rows\.csv is not a CSV file with a header"):
        read(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,a\n1,2\n", "column 'a' comes more than once"),
        ("at\nsoon\n", "column 'at' holds no times: write them like"),
        ("a\n1\n", r"has no column 'at' \(there: a\)"),
    ],
)
def test_columns_that_are_wrong(read, text, problem):
    with pytest.raises(SourceError, match=problem):
        read(text, time_column="at")


def test_a_file_in_s3(tmp_path, storage):
    storage.stage("in/rows.csv", b"a,b\n1,x\n")
    source = FileSource(path=f"s3://{storage.bucket}/in/rows.csv")
    assert read_file(source, tmp_path, storage, "snapshot").to_pylist() == [{"a": 1.0, "b": "x"}]
    with pytest.raises(SourceError, match=f"s3://{storage.bucket}/in/none.csv does not exist"):
        read_file(FileSource(path=f"s3://{storage.bucket}/in/none.csv"), tmp_path, storage, "snapshot")
