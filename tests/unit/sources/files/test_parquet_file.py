from __future__ import annotations

import random
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen.errors import SourceError
from evergreen.sources.files import parquet_file
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.parquet_file import read_parquet_files


@pytest.fixture
def read(tmp_path):
    def read(*contents, types=()):
        files = []
        for number, content in enumerate(contents):
            path = tmp_path / f"{number}.parquet"
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                pq.write_table(pa.table(content), path, write_page_checksum=True)
            files.append(LocatedFile(path.name, path))
        return read_parquet_files(files, dict(types))

    return read


def test_columns_come_in_the_lake_s_types(read):
    day = datetime(2024, 1, 31)  # noqa: DTZ001 - a time without a zone is what is tested
    rows = read({"i": pa.array([1], pa.int32()), "t": pa.array([day], pa.timestamp("ms")), "s": ["a"]})
    assert rows.schema.types == [pa.int32(), pa.timestamp("us", tz="UTC"), pa.string()]
    assert rows.table().to_pylist() == [{"i": 1, "t": day.replace(tzinfo=UTC), "s": "a"}]
    assert read({"i": [1]}, types={"i": "decimal(4, 2)"}).schema.types == [pa.decimal128(4, 2)]


def test_files_follow_one_another_in_batches(read, monkeypatch):
    monkeypatch.setattr(parquet_file, "_BATCH_ROWS", 10)
    rows = read({"a": range(25), "b": [None] * 25}, {"b": ["x"] * 5, "a": range(25, 30)})
    assert rows.schema == pa.schema([("a", pa.int64()), ("b", pa.string())])
    sizes = [batch.num_rows for batch in rows]
    assert sizes == [10, 10, 5, 5]
    assert read({"a": [1]}, {"a": [0.5]}).table().column("a").to_pylist() == [1.0, 0.5]


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        ([{"a": [1]}, {"b": [1]}], r"^1\.parquet and 0\.parquet differ in the columns a, b: fix them$"),
        ([{"a": [1]}, {"a": ["x"]}], r"^0\.parquet and 1 more files have columns of different kinds"),
        ([{"a": [{"b": 1}]}], r"^0\.parquet: column 'a' is of type struct"),
        ([b""], r"^0\.parquet is not a complete Parquet file"),
        ([b"a,b\n1,2\n" * 100], r"^0\.parquet is not a complete Parquet file"),
    ],
)
def test_files_that_cannot_be_rows(read, contents, problem):
    with pytest.raises(SourceError, match=problem):
        read(*contents)


def test_a_value_that_a_declared_type_cannot_hold(read):
    rows = read({"a": [0.5, 1.0]}, types={"a": "int"})
    assert rows.table().to_pylist() == [{"a": 1}]
    (rejected,) = rows.rejected
    assert (rejected.text, rejected.place) == ('{"a": 0.5}', "0.parquet, row 1")
    assert rejected.reason.startswith("column 'a': Float value 0.5")


def test_a_damaged_file_is_refused_in_one_line(read, tmp_path):
    read({"n": range(2000), "s": [f"text {number % 7}" for number in range(2000)]}).close()
    whole = (tmp_path / "0.parquet").read_bytes()
    expected, chance, refused = read(whole).table(), random.Random(5), 0
    for number in range(300):
        body = bytearray(whole)
        if number % 2:
            del body[chance.randrange(len(body)) :]
        else:
            body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        try:
            found = read(bytes(body)).table()
        except SourceError as error:
            if len(str(error).splitlines()) != 1:
                raise
            refused += 1
        else:
            assert found.num_columns == expected.num_columns
    print(f"300 damaged files, {refused} refused")
    assert refused >= 150


def test_dates_and_times_of_a_declared_form(read):
    local = datetime(2024, 7, 31, 5, 6)  # noqa: DTZ001 - local time in the declared zone
    rows = read(
        {"d": ["31.07.2024", "31.02.2024"], "t": [local, local], "u": ["31/07/24 05h06", None]},
        types={
            "d": "date %d.%m.%Y",
            "t": "time in Europe/Berlin",
            "u": "time %d/%m/%y %Hh%M in America/New_York",
        },
    )
    assert rows.table().to_pylist() == [
        {
            "d": date(2024, 7, 31),
            "t": datetime(2024, 7, 31, 3, 6, tzinfo=UTC),
            "u": datetime(2024, 7, 31, 9, 6, tzinfo=UTC),
        }
    ]
    (rejected,) = rows.rejected
    assert rejected.reason == "column 'd': '31.02.2024' is no date %d.%m.%Y"


def test_a_local_time_that_the_clocks_of_the_declared_zone_skip(read):
    skipped = datetime(2024, 3, 31, 2, 30)  # noqa: DTZ001
    rows = read({"t": [skipped]}, types={"t": "time in Europe/Berlin"})
    assert rows.table().num_rows == 0
    assert "does not exist in Europe/Berlin" in rows.rejected[0].reason


def test_times_of_int96_are_what_they_are(tmp_path):
    times = pa.array([datetime(9999, 12, 31), datetime(1, 1, 1), None], pa.timestamp("us"))  # noqa: DTZ001
    for array, found in (
        (times, [datetime(9999, 12, 31, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), None]),
        (pa.array([-1, 2000, 1999], pa.timestamp("ns")), [datetime(1970, 1, 1, 0, 0, 0, 2, UTC)]),
    ):
        path = tmp_path / "x.parquet"
        pq.write_table(pa.table({"t": array}), path, use_deprecated_int96_timestamps=True)
        rows = read_parquet_files([LocatedFile("x.parquet", path)], {})
        assert rows.table().column("t").to_pylist() == found
        assert [one.place for one in rows.rejected] == [
            f"x.parquet, row {n}" for n in (1, 3) if len(found) == 1
        ]
