"""Sources of every kind that send all of history, and times in several columns, through `Source.read`."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from evergreen.calendar import Calendar, Grain
from evergreen.sources import Source, Wanted

DAYS = Calendar(Grain.DAILY, "Europe/Berlin")
FIRST, SECOND = "2024-01-01", "2024-01-02"
PARTS = {"from": ["year", "month", "day", "hour"]}
ROWS = [(2024, 1, 1, 0), (2024, 1, 2, 0), (2024, 1, 1, 24), (2024, 1, 3, 0), (2024, 1, 2, 23)]


@pytest.fixture
def read(tmp_path, api):
    """The values `n` of a source's rows for a day."""

    def read(said, partition):
        source = Source.model_validate(said)
        wanted = Wanted(partition, DAYS, tmp_path, None, lambda name: api.connection())
        return source.read(wanted).table().column("n").to_pylist()

    return read


def in_parts():
    names = ("year", "month", "day", "hour")
    return pa.table({**{name: [row[at] for row in ROWS] for at, name in enumerate(names)}, "n": range(5)})


def in_times():
    times = [datetime(2023, 12, 31, 23, tzinfo=UTC), datetime(2024, 1, 1, 23, tzinfo=UTC)]
    return pa.table(
        {"at": pa.array([times[n % 2] for n in range(4)], pa.timestamp("us", "UTC")), "n": range(4)}
    )


def test_files(read, tmp_path):
    pq.write_table(in_times(), tmp_path / "times.parquet")
    pq.write_table(in_parts(), tmp_path / "parts.parquet")
    (tmp_path / "times.jsonl").write_text('{"at": "2024-01-02", "n": 1}\n{"at": "2024-01-01", "n": 2}\n')
    for file, column, first, second in [
        ("times.parquet", "at", [0, 2], [1, 3]),
        ("parts.parquet", PARTS, [0], [1, 2, 4]),
    ]:
        said = {"file": {"path": file, "time_column": column}}
        assert (read(said, FIRST), read(said, SECOND)) == (first, second), file
    said = {"file": {"path": "times.jsonl", "time_column": "at", "types": {"at": "date", "n": "int"}}}
    assert (read(said, FIRST), read(said, SECOND)) == ([2], [1])


def test_a_file_of_a_partition_is_not_cut_and_one_that_ignores_strays_is(read, tmp_path):
    pq.write_table(in_times(), tmp_path / f"{FIRST}.parquet")
    said = {"path": "{partition}.parquet", "time_column": "at"}
    assert read({"file": said}, FIRST) == [0, 1, 2, 3]  # validation refuses it
    assert read({"file": {**said, "outside": "ignore"}}, FIRST) == [0, 2]


def test_apis(read, api):
    records = [{"year": y, "month": m, "day": d, "hour": h, "n": n} for n, (y, m, d, h) in enumerate(ROWS)]
    said = {"http": {"conn_id": "weather_api", "path": "/all", "time_column": PARTS}}
    api.will({"data": records}, {"data": records})
    assert (read(said, FIRST), read(said, SECOND)) == ([0], [1, 2, 4])
    asked = {"http": {**said["http"], "params": {"day": "{partition}"}}}
    api.will({"data": records})
    assert read(asked, FIRST) == [0, 1, 2, 3, 4]


def test_tables_of_a_lake(read, tmp_path):
    write_deltalake(tmp_path / "parts", in_parts())
    write_deltalake(tmp_path / "times", in_times())
    said = {"delta": {"path": "parts", "time_column": PARTS}}
    assert (read(said, FIRST), read(said, SECOND)) == ([0], [1, 2, 4])
    said = {"delta": {"path": "times", "time_column": "at"}}
    assert Source.model_validate(said).config.whole is False  # it is asked for the rows of the partition
    assert (read(said, FIRST), read(said, SECOND)) == ([0, 2], [1, 3])
