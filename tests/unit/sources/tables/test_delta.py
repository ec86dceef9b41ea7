"""What only Delta has: versions, features of its protocol, and what can be wrong with its files."""

from __future__ import annotations

import base64
import json
import struct
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from evergreen.errors import SourceError, UnavailableError
from tests.unit.sources.tables.written import Written

TIME = pa.timestamp("us", "UTC")
Z85 = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
B85 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"


@pytest.fixture
def events(tmp_path: Path) -> Written:
    return Written(tmp_path)


def log(events: Written, version: int) -> Path:
    return events.folder / "events" / "_delta_log" / f"{version:020}.json"


def changed(path: Path, change: Any) -> None:
    """Change the actions of a commit."""
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for action in actions:
        change(action)
    path.write_text("\n".join(map(json.dumps, actions)))


def numbers(*values: int) -> pa.Table:
    return pa.table({"n": pa.array(values, pa.int64())})


def test_a_version_is_read_as_it_was(events: Written):
    events.append(numbers(1))
    events.append(numbers(2))
    write_deltalake(events.folder / "events", numbers(3), mode="overwrite")
    read = [[row["n"] for row in events.rows(version=version)] for version in (0, 1, 2)]
    assert [sorted(each) for each in read] == [[1], [1, 2], [3]]
    assert events.rows() == [{"n": 3}]
    with pytest.raises(SourceError, match=r"does not have that version .*: change the source's version"):
        events.read(version=9)


def test_a_table_that_is_rewritten_while_it_is_read_stays_one_state(events: Written):
    for part in range(5):
        events.append(numbers(*range(part * 200_000, (part + 1) * 200_000)))
    found = events.read()
    batches = iter(found)
    read = next(batches).column("n").to_pylist()
    write_deltalake(events.folder / "events", numbers(-1), mode="overwrite")
    for batch in batches:
        read += batch.column("n").to_pylist()
    assert sorted(read) == list(range(1_000_000))
    assert events.rows() == [{"n": -1}]


def test_only_files_that_may_hold_the_partitions_rows_are_read(events: Written):
    for day in range(1, 5):
        at = pa.array([datetime(2024, 1, day, 12, tzinfo=UTC)], TIME)
        write_deltalake(events.folder / "events", pa.table({"at": at, "n": [day]}), mode="append")
    for file in DeltaTable(events.folder / "events").file_uris():
        path = Path(file.removeprefix("file://"))
        if pq.read_table(path).column("n").to_pylist() != [3]:
            path.unlink()
    assert [row["n"] for row in events.rows("2024-01-03", time_column="at")] == [3]
    with pytest.raises(
        UnavailableError, match="lacks a file of its version, maybe removed while it was read"
    ):
        events.rows("2024-01-02", time_column="at")


def test_the_columns_of_its_folders_are_columns(events: Written):
    rows = pa.table({"day": ["2024-01-01", "2024-01-02", None], "n": [1, 2, 3]})
    write_deltalake(events.folder / "events", rows, partition_by=["day"])
    (found,) = events.rows("2024-01-02", time_column="day", types={"day": "date"})
    assert found == {"day": datetime(2024, 1, 2, tzinfo=UTC), "n": 2}


def test_a_table_for_each_partition_is_read_whole(events: Written):
    at = pa.array([datetime.fromisoformat("2024-01-05")], pa.timestamp("us"))
    write_deltalake(events.folder / "events-2024-01-02", pa.table({"at": at}))
    found = events.rows("2024-01-02", path="events-{partition}", time_column="at")
    assert found == [{"at": datetime(2024, 1, 5, tzinfo=UTC)}]
    with pytest.raises(
        SourceError, match="there is no Delta table events-2024-01-03 that can be read: create it or"
    ):
        events.read("2024-01-03", path="events-{partition}")


def test_deleted_rows_of_a_deletion_vector_are_not_read(events: Written):
    path = events.folder / "events"
    options = {"delta.enableDeletionVectors": "true"}
    DeltaTable.create(path, numbers().schema, configuration=options)
    events.append(numbers(10, 11, 12, 13))
    deleted = [1, 3]
    # A 64-bit roaring bitmap with one array container, as the protocol of Delta has it.
    bitmap = struct.pack("<IQIIIHHI", 1681511377, 1, 0, 12346, 1, 0, len(deleted) - 1, 16)
    bitmap += struct.pack(f"<{len(deleted)}H", *deleted)
    text = base64.b85encode(bitmap + b"\0" * (-len(bitmap) % 4)).translate(bytes.maketrans(B85, Z85)).decode()

    def mark(action: dict[str, Any]) -> None:
        if "add" in action:
            action["add"]["deletionVector"] = {
                "storageType": "i",
                "pathOrInlineDv": text,
                "sizeInBytes": len(bitmap),
                "cardinality": len(deleted),
            }

    changed(log(events, 1), mark)
    assert events.rows() == [{"n": 10}, {"n": 12}]


def test_renamed_columns_are_read_by_their_names(events: Written):
    options = {"delta.columnMapping.mode": "name"}
    DeltaTable.create(events.folder / "events", numbers().schema, configuration=options)
    events.append(numbers(1, 2))
    assert "n" not in pq.read_schema(next((events.folder / "events").rglob("*.parquet"))).names
    assert events.rows() == [{"n": 1}, {"n": 2}]


def test_a_column_that_came_later_is_null_before(events: Written):
    events.append(numbers(1))
    later = pa.table({"n": [2], "s": ["x"]})
    write_deltalake(events.folder / "events", later, mode="append", schema_mode="merge")
    assert sorted(events.rows(), key=lambda row: row["n"]) == [{"n": 1, "s": None}, {"n": 2, "s": "x"}]


def test_times_in_the_form_of_spark_are_exact(events: Written):
    times = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), None]
    path = events.folder / "events"
    rows = pa.table({"at": pa.array(times, TIME)})
    DeltaTable.create(path, rows.schema)
    name = f"{uuid.uuid4()}.parquet"
    pq.write_table(rows, path / name, use_deprecated_int96_timestamps=True)
    add = {"path": name, "partitionValues": {}, "size": (path / name).stat().st_size}
    log(events, 1).write_text(json.dumps({"add": {**add, "modificationTime": 0, "dataChange": True}}))
    assert [row["at"] for row in events.rows()] == times


def unknown_feature(events: Written) -> None:
    named = {"readerFeatures": ["fooFeature"], "writerFeatures": ["fooFeature"]}

    def change(action: dict[str, Any]) -> None:
        if "protocol" in action:
            action["protocol"] = {"minReaderVersion": 3, "minWriterVersion": 7, **named}

    changed(log(events, 0), change)


def truncated_file(events: Written) -> None:
    file = next((events.folder / "events").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:100])


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda events: log(events, 0).unlink(), "cannot be read .*: repair the table"),
        (lambda events: log(events, 1).write_text("{bad"), "cannot be read .*Encountered unexpected 'b'"),
        (truncated_file, "cannot be read .*: repair the table or read an earlier version"),
        (unknown_feature, "needs what delta-rs cannot read .*'fooFeature'"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(events: Written, harm: Any, says: str):
    events.append(numbers(1))
    events.append(numbers(2))
    harm(events)
    with pytest.raises(SourceError, match=f"^Delta table events {says}") as refusal:
        events.rows()
    assert "\n" not in str(refusal.value)
    assert "unknown>" not in str(refusal.value)


def test_a_file_that_is_cut_anywhere_is_refused(events: Written):
    events.append(pa.table({"n": range(500), "s": ["x"] * 500, "l": [[n] for n in range(500)]}))
    (file,) = (events.folder / "events").glob("*.parquet")
    whole = file.read_bytes()
    for size in range(0, len(whole), 97):
        file.write_bytes(whole[:size])
        with pytest.raises(SourceError, match=r"^Delta table events cannot be read"):
            events.read().table()


def test_a_file_and_a_folder_are_no_tables(events: Written):
    (events.folder / "file").write_text("x")
    (events.folder / "empty").mkdir()
    for path in ("file", "empty", "nothing"):
        with pytest.raises(SourceError, match=f"Delta table {path}"):
            events.read(path=path)
    assert not (events.folder / "nothing").exists()
