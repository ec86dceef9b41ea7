from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable
from deltalake.transaction import AddAction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen import open_tables
from evergreen.errors import NotFoundError, RefusedError, StorageError, UnavailableError
from evergreen.lake import Lake, Table
from evergreen.lake_check import present_files
from evergreen.storage import Credentials, Storage
from tests.campaign import examples


def rows(*values: int | None) -> pa.Table:
    return pa.table({"n": pa.array(values, pa.int64())})


@pytest.fixture
def lake(storage: Storage) -> Lake:
    return Lake(storage, "bikes")


def content(lake: Lake) -> dict[str, list[int]]:
    table = lake.read(Table.PARTITIONS).to_pylist()
    return {key: [row["n"] for row in table if row["partition"] == key] for key in lake.partitions()}


def test_partitions_are_replaced_as_a_whole(lake: Lake):
    lake.replace(Table.PARTITIONS, {"2011-01-01": rows(1, 2), "2011-01-02": rows(3)})
    assert lake.replace(Table.PARTITIONS, {"2011-01-01": rows(9)}) == ["2011-01-01"]
    assert content(lake) == {"2011-01-01": [9], "2011-01-02": [3]}


def test_the_same_rows_make_no_new_version(lake: Lake):
    lake.replace(Table.PARTITIONS, {"2011-01-01": rows(1, None)})
    version = lake.version(Table.PARTITIONS)
    assert lake.replace(Table.PARTITIONS, {"2011-01-01": rows(1, None)}) == []
    assert lake.version(Table.PARTITIONS) == version
    changed = lake.replace(Table.PARTITIONS, {"2011-01-01": rows(1, None), "2011-01-02": rows(2)})
    assert changed == ["2011-01-02"]


def test_many_partitions_are_one_commit(lake: Lake):
    lake.replace(Table.PARTITIONS, {"2011-01-01": rows(1)})
    version = lake.version(Table.PARTITIONS)
    lake.replace(Table.PARTITIONS, {f"2011-02-{day:02d}": rows(day) for day in range(1, 20)})
    assert lake.version(Table.PARTITIONS) == version + 1


def test_a_reader_that_filters_by_any_column_finds_its_rows(lake: Lake):
    at = datetime(2024, 1, 1, tzinfo=UTC)
    values = {
        "n": pa.array([7, None]),
        "text": pa.array(["b", None]),
        "number": pa.array([0.5, None]),
        "time": pa.array([at, None], pa.timestamp("us", "UTC")),
        "date": pa.array([at.date(), None]),
        "money": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
        "truth": pa.array([True, None]),
    }
    lake.replace(Table.PARTITIONS, {"2024-01-01": pa.table(values), "2024-01-02": pa.table(values)})
    _add_as_an_older_release(lake, "2024-01-01", "2023-12-31", [*values])
    table = DeltaTable(lake._tables.uri(Table.PARTITIONS), storage_options=lake._storage.delta_options)
    dataset = table.to_pyarrow_dataset()
    for name, column in values.items():
        assert dataset.to_table(filter=ds.field(name) == column[0]).num_rows == 3, name
        assert dataset.to_table(filter=ds.field(name).is_null()).num_rows == 3, name


def _add_as_an_older_release(lake: Lake, same: str, key: str, columns: list[str]) -> None:
    """Publish the rows of a partition as another's, told with the nulls of each column, as once was done."""
    table = lake._tables.now(Table.PARTITIONS)
    (there,) = present_files(table)[same]
    folder, path = "bikes/lake/partitions", there.path.replace(same, key)
    lake._storage.stage(f"{folder}/{path}", lake._storage.read(f"{folder}/{there.path}").body)
    told = json.dumps({"numRecords": 2, "nullCount": dict.fromkeys(columns, 1)})
    table.create_write_transaction(
        [AddAction(path, there.size, {"partition": key}, 0, True, told)],
        "append",
        table.schema(),
        ["partition"],
    )


def test_the_bounds_of_whole_numbers_are_read_from_the_files(lake: Lake):
    lake.replace(Table.PARTITIONS, {"2011-01-01": rows(5, None, -2), "2011-01-02": rows(None)})
    lake.replace(Table.PARTITIONS, {"2011-01-03": rows(2**60)})
    assert sorted(lake.bounds("n")) == [-2, 5, 2**60, 2**60]
    assert lake.bounds("other") == []


def test_values_are_counted_however_well_they_are_compressed(lake: Lake):
    same = pa.table({"n": pa.repeat(7, 100_000), "s": pa.repeat("a word", 100_000)})
    lake.replace(Table.PARTITIONS, {"2011-01-01": same})
    assert lake.values("2011-01-01") == 200_000
    assert lake.values("2011-01-01", ["n", "other"]) == 100_000
    assert lake.values("2011-01-02") == 0


def test_no_rows_empty_a_partition(lake: Lake):
    lake.replace(Table.PARTITIONS, {"2011-01-01": rows(1), "2011-01-02": rows(2)})
    assert lake.replace(Table.PARTITIONS, {"2011-01-01": rows()}) == ["2011-01-01"]
    assert content(lake) == {"2011-01-02": [2]}
    assert lake.replace(Table.PARTITIONS, {}) == []


def test_a_read_of_a_range_includes_both_ends(lake: Lake):
    lake.replace(Table.PARTITIONS, {f"2011-01-0{day}": rows(day) for day in range(1, 6)})
    found = lake.read(Table.PARTITIONS, "2011-01-02", "2011-01-04")
    assert found.column("n").to_pylist() == [2, 3, 4]
    assert lake.read(Table.PARTITIONS, first="2011-01-05").column("n").to_pylist() == [5]


def test_a_version_is_read_as_it_was(lake: Lake):
    lake.replace(Table.PARTITIONS, {"2011-01-01": rows(1)})
    version = lake.version(Table.PARTITIONS)
    lake.replace(Table.PARTITIONS, {"2011-01-01": rows(2)})
    assert lake.read(Table.PARTITIONS, version=version).column("n").to_pylist() == [1]


@pytest.mark.parametrize("key", ["x') OR ('a'='a", "../models", "", "2011/01"])
def test_what_is_no_key_is_refused(lake: Lake, key: str):
    with pytest.raises(ValueError, match="is not a partition's key"):
        lake.replace(Table.PARTITIONS, {key: rows(1)})


@pytest.mark.parametrize(
    ("offered", "message"),
    [
        (pa.table({"n": pa.array([1.5])}), "column 'n' was int64 and is double"),
        (pa.table({"m": pa.array([1])}), "column 'm' is new; column 'n' is missing"),
    ],
)
def test_another_shape_is_refused_and_changes_nothing(lake: Lake, offered: pa.Table, message: str):
    lake.replace(Table.PARTITIONS, {"2011-01-01": rows(1)})
    for key in ("2011-01-01", "2011-01-02"):
        with pytest.raises(
            RefusedError, match=rf"bikes: lake table 'partitions': {message}; nothing was pub"
        ):
            lake.replace(Table.PARTITIONS, {key: offered})
    assert content(lake) == {"2011-01-01": [1]}


def test_a_table_that_is_not_there(lake: Lake):
    assert lake.partitions() == []
    with pytest.raises(NotFoundError, match="bikes: lake table 'partitions' does not exist yet: ingest"):
        lake.read(Table.PARTITIONS)
    with pytest.raises(NotFoundError):
        lake.version(Table.PARTITIONS)


def test_a_bucket_that_is_not_there(storage: Storage):
    lake = Lake(Storage("nowhere", "", storage.credentials), "bikes")
    for use in (lake.partitions, lambda: lake.replace(Table.PARTITIONS, {"2011": rows(1)})):
        with pytest.raises(
            StorageError, match="bucket 'nowhere' does not exist: create it or change EVERGREEN"
        ):
            use()


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch):
    storage = Storage("b", "", Credentials("http://127.0.0.1:1", access_key="a", secret_key="b"))
    with pytest.raises(
        UnavailableError, match=r"bikes: lake table 'partitions' cannot be used \(.*again$"
    ) as caught:
        Lake(storage, "bikes").read(Table.PARTITIONS)
    assert "\x1b" not in str(caught.value)


writes = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from("abc"), st.lists(st.integers(0, 9), max_size=3)), max_size=6
)


@settings(
    max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(writes)
def test_the_last_write_of_each_partition_stands(new_storage: Callable[[], Storage], written: list):
    """Whichever of two lakes wrote it, and both see it."""
    storage = new_storage()
    lakes = Lake(storage, "bikes"), Lake(storage, "bikes")
    expected: dict[str, list[int]] = {}
    for writer, key, values in written:
        lakes[writer].replace(Table.PARTITIONS, {key: rows(*values)})
        expected = {**expected, key: values}
        held = {key: values for key, values in expected.items() if values}
        for lake in lakes:
            assert lake.partitions() == sorted(held)
            assert (content(lake) if held else {}) == held


def test_partitions_that_hold_keys_are_found_by_columns_of_every_type(lake: Lake):
    days = ["2011-01-01", "2011-01-02", "2011-01-03"]
    moments = [datetime(2011, 1, day, 12, tzinfo=UTC) for day in (1, 2, 3)]
    columns = {
        "i": pa.array([1, 2**62, -5]),
        "s": pa.array(["a", "", "ß"]),
        "d": pa.array([Decimal("1.50"), Decimal("-2.00"), Decimal("9.99")], pa.decimal128(12, 2)),
        "t": pa.array(moments, pa.timestamp("us", "UTC")),
        "f": pa.array([0.5, -0.5, float("inf")]),
        "b": pa.array([True, False, None]),
        "y": pa.array([moment.date() for moment in moments]),
    }
    whole = pa.table(columns)
    lake.replace(Table.PARTITIONS, {day: whole.slice(number, 1) for number, day in enumerate(days)})
    for name in columns:
        for number, day in enumerate(days):
            one = whole.slice(number, 1).select([name])
            expected = set() if one.column(name).null_count else {day}
            assert lake.holding(one, days) == expected, name
    assert lake.holding(whole.select(["s", "i"]), days[1:]) == set(days[1:])
    crossed = pa.table({"i": columns["i"], "s": pa.array(["", "ß", "a"])})
    assert lake.holding(crossed, days) == set()
    assert lake.holding(whole.select(["i"]).slice(0, 0), days) == set()


def test_threads_see_what_others_wrote(lake: Lake):
    def write(day: int) -> list[str]:
        lake.replace(Table.PARTITIONS, {f"2011-01-{day:02d}": rows(day)})
        return lake.partitions()

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(write, range(1, 13)))
    assert all(f"2011-01-{day:02d}" in keys for day, keys in enumerate(seen, 1))
    assert content(lake) == {f"2011-01-{day:02d}": [day] for day in range(1, 13)}


def test_for_a_while_tables_stay_as_they_were_first_seen(lake: Lake, storage: Storage):
    others = Lake(storage, "bikes")
    others.replace(Table.PARTITIONS, {"2011-01-01": rows(1)})
    with lake.steady():
        assert lake.partitions() == ["2011-01-01"]
        others.replace(Table.PARTITIONS, {"2011-01-02": rows(2)})
        with lake.steady():  # part of the longer one
            assert lake.partitions() == [*lake.files(Table.PARTITIONS)] == ["2011-01-01"]
        assert content(lake) == {"2011-01-01": [1]}
        assert lake.version(Table.PARTITIONS) + 1 == others.version(Table.PARTITIONS)
    assert lake.partitions() == ["2011-01-01", "2011-01-02"]


def test_after_a_failure_a_table_is_opened_anew(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    lake.replace(Table.PARTITIONS, {"2011-01-01": rows(1)})
    with monkeypatch.context() as patched:
        patched.setattr(DeltaTable, "update_incremental", _fails)
        with pytest.raises(UnavailableError, match=r"lake table 'partitions' cannot be used \(away\)"):
            lake.version(Table.PARTITIONS)
        assert lake.version(Table.PARTITIONS) == 1  # opened, not refreshed
    assert content(lake) == {"2011-01-01": [1]}


def _fails(table: DeltaTable) -> None:
    raise OSError("away")


def test_the_files_of_a_version_are_looked_at_once(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """To look at them takes the longer the more there are."""
    looked: list[int] = []

    def counted(table: DeltaTable) -> Any:
        looked.append(table.version())
        return present_files(table)

    monkeypatch.setattr(open_tables, "present_files", counted)
    for day in ("2024-01-01", "2024-01-02"):
        lake.replace(Table.PARTITIONS, {day: pa.table({"x": [1]})})
        assert lake.partitions()[-1] == [*lake.files(Table.PARTITIONS)][-1] == day
    assert looked == sorted({*looked})
    with lake.steady():
        assert lake.partitions() == lake.partitions() == ["2024-01-01", "2024-01-02"]
    assert looked == sorted({*looked})
