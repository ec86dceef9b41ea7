"""Predictions into SQLite, DuckDB and MariaDB: once, twice, by several at once, and killed on the way."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest

from evergreen.connections import Connection
from evergreen.databases.registry import DATABASES, session, writer
from evergreen.errors import SourceError, UnavailableError
from evergreen.scoring.sink import write_predictions
from evergreen.sources.sql.description import SqlSource
from evergreen.sources.sql.read import read_sql
from tests.campaign import INJECTED, rounds, seed
from tests.integration.databases.writers import DAYS, ROWS, TABLE, begun, hold, predictions, write, write_all

KILLS = rounds(3, 100)
TOLD = datetime(2024, 1, 1, 5, 6, 7, 890001, tzinfo=UTC)


def read(sink: Connection, table: str = TABLE) -> list[dict[str, Any]]:
    """The table's rows, by the reader of sources; `partition` is the lake's own name."""
    with session(sink) as opened:
        found = opened.table(table)
        assert found is not None
        columns = {name: opened.quoted(name) for name in found.columns}
    selected = [f"{name} AS part" if name == columns["partition"] else name for name in columns.values()]
    with TemporaryDirectory() as folder:
        (Path(folder) / "all.sql").write_text(f"SELECT {', '.join(selected)} FROM {found.sql}")
        source = SqlSource(conn_id="shop_db", sql="all.sql")
        rows: list[dict[str, Any]] = read_sql(source, sink, Path(folder), None, None).table().to_pylist()
    return rows


def found(sink: Connection) -> dict[str, list[float]]:
    """The predictions of each partition."""
    partitions: dict[str, list[float]] = {}
    for row in read(sink):
        partitions.setdefault(row["part"], []).append(row["prediction"])
    return partitions


def test_every_type_of_key_and_label_comes_back_as_it_was(sink: Connection):
    table = pa.table(
        {
            'Ort "x`; %s drop': pa.array(["a", "A ", "grün \U0001f600\\'"], pa.large_string()),
            "small": pa.array([1, 2, 3], pa.int16()),
            "big": pa.array([1, 2**40, -(2**63)], pa.int64()),
            "day": pa.array([date(2024, 1, 1), date(1970, 1, 1), date(9999, 12, 31)]),
            "prediction": pa.array([0.1, 1e300, -5e-324], pa.float64()),
            "told": pa.array([TOLD] * 3, pa.timestamp("us", "UTC")),
            "actual": pa.array([True, None, False]),
        }
    )
    keys = ['Ort "x`; %s drop', "big"]
    write_predictions(sink, "odd names", keys, table, "snapshot")
    back = sorted(read(sink, "odd names"), key=lambda row: row["small"])
    # MySQL has no truth values, only 1 and 0, which are equal to them.
    assert back == [{**row, "part": "snapshot"} for row in table.to_pylist()]
    # The keys are the table's primary key, with the partition.
    with pytest.raises(SourceError), writer(sink) as opened:
        opened.append("odd names", table.append_column("partition", pa.array(["snapshot"] * 3)))


def test_written_twice_there_is_one_copy_and_other_partitions_stay(sink: Connection):
    write(sink, predictions(), "2024-01-01")
    write(sink, predictions(rows=3))
    write(sink, predictions(rows=2, value=5.0))
    assert found(sink) == {"2024-01-01": [1.0] * 3, "2024-01-02": [5.0] * 2}
    write(sink, predictions().slice(0, 0))
    assert found(sink) == {"2024-01-01": [1.0] * 3}


def test_the_table_gets_a_column_once_a_version_has_it(sink: Connection):
    write(sink, predictions(rows=1), "2024-01-01")
    write(sink, predictions(rows=1).append_column("probability", pa.array([0.25])), "2024-01-02")
    shares = pa.array([[0.5, 0.25, 0.25]], pa.list_(pa.float64()))
    classes = pa.array([["wärme", 'a "b"']], pa.list_(pa.string()))
    more = predictions(rows=1).append_column("probabilities", shares).append_column("set", classes)
    for _ in range(2):
        write(sink, more, "2024-01-03")
    rows = {row["part"]: row for row in read(sink)}
    assert [rows[day]["probability"] for day in sorted(rows)] == [None, 0.25, None]
    for column, last in (("probabilities", [0.5, 0.25, 0.25]), ("set", ["wärme", 'a "b"'])):
        texts = [rows[day][column] for day in sorted(rows)]
        # Where a database has no lists, and in what a query of one gives, they are JSON.
        assert [json.loads(text) if isinstance(text, str) else text for text in texts] == [None, None, last]


def test_contributions_are_json(sink: Connection):
    leading = [{"feature": "wärme", "value": -0.25}, {"feature": 'a "b"', "value": 1e-300}]
    kind = pa.list_(pa.struct({"feature": pa.string(), "value": pa.float64()}))
    table = predictions(rows=2).append_column("contributions", pa.array([leading, None], kind))
    for _ in range(2):
        write(sink, table.append_column("base", pa.array([3.5, None], pa.float64())))
    rows = sorted(read(sink), key=lambda row: row["sold"])
    texts = [row["contributions"] for row in rows]
    assert [text and json.loads(text) for text in texts] == [leading, None]
    assert [row["base"] for row in rows] == [3.5, None]


def test_several_writers_at_once_on_a_new_table(sink: Connection):
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(write, sink, predictions(), DAYS[number % 4]) for number in range(12)]
        for job in jobs:
            job.result()
    assert found(sink) == {day: [1.0] * 3 for day in DAYS}


def test_an_error_in_the_middle_leaves_what_was_there(sink: Connection):
    write(sink, predictions())
    with pytest.raises(SourceError) as told:
        write(sink, pa.concat_tables([predictions(value=9.0)] * 2))
    assert "\n" not in str(told.value)
    assert found(sink) == {"2024-01-02": [1.0] * 3}


def test_a_table_of_another_shape_is_left_alone(sink: Connection):
    with writer(sink) as opened:
        kind = opened.types["int64"]
        opened.create(TABLE, {"sold": kind, "partition": kind}, ["sold"])
    with pytest.raises(SourceError, match=r"another shape: 'sold' must be .* and is .*'version'.*absent"):
        write(sink, predictions())
    assert found(sink) == {}


def test_a_type_without_a_place_in_a_table(sink: Connection):
    with pytest.raises(SourceError, match=r"column 'sold' of type list.* has no place in a table"):
        write(sink, pa.table({"sold": [[1]], "prediction": [1.0]}))


def test_a_writer_that_is_kept_waiting_for_longer_than_its_timeout(sink: Connection):
    write(sink, predictions())
    holder = begun(hold, sink)
    began = time.monotonic()
    with pytest.raises(UnavailableError), writer(sink, timeout=timedelta(seconds=1)) as opened:
        opened.lock(TABLE)
    assert time.monotonic() - began < 30
    holder.kill()
    holder.join()
    write(sink, predictions(value=2.0))
    assert found(sink) == {"2024-01-02": [2.0] * 3}


@pytest.mark.timeout(rounds(300, 3600))
def test_killed_at_any_moment_each_partition_is_the_old_one_or_the_new(
    sink: Connection, record_property: Any
):
    draw = random.Random(seed(7))
    for number in range(KILLS):
        # Two writers write the same partitions, each its own value; one of them is killed.
        writers = [begun(write_all, sink, number + each / 10) for each in (0, 1)]
        time.sleep(draw.uniform(0, 0.6))
        writers[0].kill()
        for each in writers:
            each.join(120)
        assert writers[1].exitcode == 0
        there = found(sink)
        assert set(there) == set(DAYS)
        for values in there.values():
            assert len(values) == ROWS
            assert len(set(values)) == 1
    record_property(INJECTED, f"{KILLS} kills of one of two writers")


def test_a_database_without_transactions_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    refused = [conn_type for conn_type, entry in DATABASES.items() if entry.write is None]
    assert all(DATABASES[conn_type].no_writes for conn_type in refused)
    for conn_type in refused:
        with pytest.raises(SourceError, match="predictions cannot be written to"):
            write(Connection("shop_db", conn_type), predictions())
