"""What only Iceberg has: catalogs, snapshots, deletes by position, and what can be wrong with its files."""

from __future__ import annotations

import json
import uuid
from copy import copy
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import DataFileContent
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import LongType, NestedField, TimeType, UUIDType

from evergreen.connections import Connection
from evergreen.errors import EvergreenError, SourceError, UnavailableError
from evergreen.sources import KINDS, Source
from evergreen.sources.tables.catalog import catalog_options
from tests.unit.sources.tables.written import WrittenIceberg

TIME = pa.timestamp("us", "UTC")


@pytest.fixture
def events(tmp_path: Path) -> WrittenIceberg:
    return WrittenIceberg(tmp_path)


def numbers(*values: int) -> pa.Table:
    return pa.table({"n": pa.array(values, pa.int64())})


def table(events: WrittenIceberg) -> Table:
    return events.catalog.load_table("shop.events")


def data_files(events: WrittenIceberg) -> list[Path]:
    return sorted((events.folder / "shop" / "events" / "data").rglob("*.parquet"))


def test_a_snapshot_is_read_as_it_was(events: WrittenIceberg):
    events.append(numbers(1))
    first = table(events).current_snapshot().snapshot_id
    events.append(numbers(2))
    table(events).overwrite(numbers(3))
    assert events.rows(snapshot_id=first) == [{"n": 1}]
    assert events.rows() == [{"n": 3}]
    with pytest.raises(SourceError, match=r"has no snapshot 7 \(the newest: \d.*\): change snapshot_id"):
        events.read(snapshot_id=7)


def test_a_metadata_file_is_a_table_without_a_catalog(events: WrittenIceberg):
    events.append(numbers(1, 2))
    path = table(events).metadata_location.removeprefix("file://")
    events.place = {"path": str(Path(path).relative_to(events.folder))}
    assert events.rows() == [{"n": 1}, {"n": 2}]
    events.append(numbers(3))
    assert events.rows() == [{"n": 1}, {"n": 2}]
    with pytest.raises(SourceError, match=r"Iceberg table nothing.metadata.json has no metadata there"):
        events.read(path="nothing.metadata.json")


def test_the_properties_of_a_table_choose_no_class_and_no_endpoint(events: WrittenIceberg):
    events.append(numbers(1))
    metadata = Path(table(events).metadata_location.removeprefix("file://"))
    properties = {"py-io-impl": "no.such.Module", "s3.endpoint": "http://127.0.0.1:9"}
    metadata.write_text(json.dumps({**json.loads(metadata.read_text()), "properties": properties}))
    events.place = {"path": str(metadata)}
    assert events.rows() == [{"n": 1}]


def test_a_table_that_is_rewritten_while_it_is_read_stays_one_state(events: WrittenIceberg):
    for part in range(3):
        events.append(numbers(*range(part * 200_000, (part + 1) * 200_000)))
    batches = iter(events.read())
    read = next(batches).column("n").to_pylist()
    table(events).overwrite(numbers(-1))
    for batch in batches:
        read += batch.column("n").to_pylist()
    assert sorted(read) == list(range(600_000))
    assert events.rows() == [{"n": -1}]


def test_only_a_batch_is_in_memory(events: WrittenIceberg):
    rows = pa.table({f"c{column}": range(2_000_000) for column in range(4)})
    events.append(rows)
    size, before = rows.nbytes, pa.total_allocated_bytes()
    del rows
    peak = 0
    for _ in events.read():
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert peak < size / 2


def test_only_files_that_may_hold_the_partitions_rows_are_read(events: WrittenIceberg):
    for day in range(1, 5):
        at = pa.array([datetime(2024, 1, day, 12, tzinfo=UTC)], TIME)
        events.append(pa.table({"at": at, "n": [day]}))
    for file in data_files(events):
        if pq.read_table(file).column("n").to_pylist() != [3]:
            file.unlink()
    assert [row["n"] for row in events.rows("2024-01-03", time_column="at")] == [3]
    with pytest.raises(UnavailableError, match="lacks a file"):
        events.rows("2024-01-02", time_column="at")


def test_a_column_that_was_renamed_or_came_later(events: WrittenIceberg):
    events.append(numbers(1))
    with table(events).update_schema() as change:
        change.rename_column("n", "m")
        change.add_column("later", LongType())
    table(events).append(pa.table({"m": [2], "later": [5]}))
    found = sorted(events.rows(), key=lambda row: row["m"])
    assert found == [{"m": 1, "later": None}, {"m": 2, "later": 5}]


def test_deleted_rows_are_not_read(events: WrittenIceberg):
    events.append(numbers(1, 2, 3))
    table(events).delete("n = 2")
    assert events.rows() == [{"n": 1}, {"n": 3}]


def damaged_metadata(events: WrittenIceberg) -> None:
    Path(table(events).metadata_location.removeprefix("file://")).write_text('{"format-version": 2}')


def truncated_file(events: WrittenIceberg) -> None:
    (file,) = data_files(events)
    file.write_bytes(file.read_bytes()[:100])


@pytest.mark.parametrize("harm", [damaged_metadata, truncated_file])
def test_a_table_that_cannot_be_read_is_one_line(events: WrittenIceberg, harm: Any):
    events.append(numbers(1))
    harm(events)
    with pytest.raises(
        SourceError, match=r"^Iceberg table shop.events cannot be read .*: repair it"
    ) as refusal:
        events.rows()
    assert "\n" not in str(refusal.value)


def test_a_table_that_is_not_there_is_named_with_the_nearest(events: WrittenIceberg):
    events.append(numbers(1))
    for name, nearest in (("shop.event", "nearest: shop.events"), ("store.events", "there: none")):
        says = rf"connection 'catalog' has no Iceberg table {name} \({nearest}\): create it"
        with pytest.raises(SourceError, match=says):
            events.read(table=name)


SECRET = "s3cret/pw"


def catalog(**values: Any) -> Connection:
    return Connection("catalog", "iceberg", **values)


@pytest.mark.parametrize(
    ("connection", "options"),
    [
        (
            catalog(host="catalog.example", port=8181, login="id", password=SECRET, extra={"scope": "x"}),
            {"uri": "https://catalog.example:8181", "credential": f"id:{SECRET}", "scope": "x"},
        ),
        (
            catalog(host="http://c", password=SECRET, extra={"warehouse": "w"}),
            {"uri": "http://c", "token": SECRET, "warehouse": "w"},
        ),
        (catalog(extra={"type": "glue", "catalog_name": "prod"}), {"type": "glue"}),
        (
            catalog(
                host="http://c", extra={"ssl": {"cabundle": "/ca.pem"}, "rest.sigv4-enabled": True, "n": 1}
            ),
            {"uri": "http://c", "ssl": {"cabundle": "/ca.pem"}, "rest.sigv4-enabled": "true", "n": "1"},
        ),
        (catalog(host="h", extra={"uri": "thrift://h:9083"}), {"uri": "thrift://h:9083"}),
    ],
)
def test_a_connection_describes_a_catalog(connection: Connection, options: dict[str, str]):
    assert catalog_options(connection) == {"init_catalog_tables": "false", **options}


def test_a_connection_that_describes_none_is_refused_by_check():
    config = Source.model_validate({"iceberg": {"conn_id": "catalog", "table": "a.b"}}).config
    with pytest.raises(
        SourceError, match="'catalog' describes no catalog of Iceberg tables: give its address"
    ):
        KINDS["iceberg"].check_connection(config, catalog())


@pytest.mark.parametrize(
    ("connection", "kind", "says"),
    [
        (catalog(host="http://127.0.0.1:9", login="id", password=SECRET), UnavailableError, "read now"),
        (catalog(extra={"uri": "http://127.0.0.1:9", "token": SECRET}), UnavailableError, "read now"),
        (
            catalog(extra={"uri": f"nothing+db://me:{SECRET}@h/db", "type": "sql"}),
            EvergreenError,
            "Iceberg table shop.events",
        ),
        (catalog(extra={"uri": f"odd://me:{SECRET}@h"}), SourceError, "cannot be read"),
        (catalog(extra={"uri": "sqlite:////nowhere/catalog.db"}), UnavailableError, "read now"),
        (catalog(extra={"uri": "x", "type": "oracle"}), SourceError, "cannot be read"),
    ],
)
def test_a_catalog_that_cannot_be_asked_is_one_line_without_secrets(
    events: WrittenIceberg, monkeypatch: pytest.MonkeyPatch, connection: Connection, kind: Any, says: str
):
    monkeypatch.setattr(events, "connection", lambda _: connection)
    with pytest.raises(kind, match=says) as refusal:
        events.read()
    assert "\n" not in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


def test_a_database_without_a_catalog_stays_without_one(events: WrittenIceberg, tmp_path: Path):
    events.options = {"uri": f"sqlite:///{tmp_path}/other.db"}
    with pytest.raises(UnavailableError, match="no such table"):
        events.read()


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"path": "a.metadata.json", "table": "a.b"}, "give either 'table' or 'path'"),
        ({}, "give either 'table' or 'path'"),
        ({"table": "a.b"}, "a table needs 'conn_id'"),
        ({"table": "events", "conn_id": "c"}, "write a table with its namespace, like shop.events"),
        ({"path": "a", "conn_id": "c"}, "a table on disk needs no connection"),
        ({"path": "hdfs://a/b"}, "write a path on disk, or s3://bucket/path"),
    ],
)
def test_a_wrong_description_is_refused(said: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        Source.model_validate({"iceberg": said})


def test_types_that_arrow_has_no_plain_one_for(events: WrittenIceberg):
    schema = Schema(NestedField(1, "key", UUIDType()), NestedField(2, "clock", TimeType()))
    key = uuid.UUID("12345678-1234-5678-1234-567812345678")
    keys = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([key.bytes], pa.binary(16)))
    events.catalog.create_table("shop.events", schema)
    table(events).append(pa.table({"key": keys, "clock": pa.array([time(12, 30, 0, 1)])}))
    assert events.rows() == [{"key": str(key), "clock": "12:30:00.000001"}]


def test_equality_deletes_are_refused(events: WrittenIceberg):
    events.append(numbers(1, 2))
    change = table(events).transaction()
    with change.update_snapshot().fast_append() as append:
        (task,) = table(events).scan().plan_files()
        deletes = copy(task.file)
        deletes[0] = DataFileContent.EQUALITY_DELETES
        append.append_data_file(deletes)
    change.commit_transaction()
    with pytest.raises(SourceError, match=r"cannot be read .*equality deletes.*: repair it"):
        events.rows()
