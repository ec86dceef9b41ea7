"""A partition as a blob: every type of the lake, and nothing but the rows of its digest."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import IntegrityError
from evergreen.look_back.blob import as_read, blob_of, digest_of, file_rows, rows_of
from evergreen.rows.partition_file import PartitionFile, PartitionWriter
from tests.unit.rows.test_digest import TYPES


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    kinds = draw(st.lists(st.sampled_from(list(TYPES)), min_size=1, max_size=4))
    rows = draw(st.integers(1, 5))
    lists = [draw(st.lists(st.none() | TYPES[kind], min_size=rows, max_size=rows)) for kind in kinds]
    columns = [pa.array(values, kind) for kind, values in zip(kinds, lists, strict=True)]
    return pa.table(columns, names=[f"c{at}" for at in range(len(columns))])


def written(rows: pa.Table) -> PartitionFile:
    writer = PartitionWriter(rows.schema)
    for batch in rows.to_batches():
        writer.write(batch)
    return writer.finish({"a": "record"})


def body(file: PartitionFile) -> bytes:
    assert file.body is not None
    file.body.seek(0)
    return file.body.read()


@given(tables())
def test_all_types_come_back_as_they_were_published(rows: pa.Table) -> None:
    file = written(rows)
    found = rows_of(blob_of(file_rows(body(file), file.digest)), file.digest)
    assert found.schema == rows.schema
    assert found.equals(rows)


def test_a_file_of_several_row_groups_has_the_digest_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evergreen.rows.partition_file.ROW_GROUP", 2)
    rows = pa.table({"n": [1, 2, 3, 4, 5], "text": ["a", None, "b", "", "c"]})
    file = written(rows)
    assert file_rows(body(file), file.digest).equals(rows)


@pytest.mark.parametrize("damage", [lambda blob: blob[:-9], lambda blob: b"", lambda blob: b"\0" * 64])
def test_a_damaged_blob_is_not_read(damage) -> None:
    rows = pa.table({"n": [*range(100)]})
    file = written(rows)
    with pytest.raises(IntegrityError):
        rows_of(damage(blob_of(rows)), file.digest)
    with pytest.raises(IntegrityError):
        file_rows(damage(body(file)), file.digest)


def test_other_rows_under_the_same_digest_are_not_read() -> None:
    file = written(pa.table({"n": [1, 2]}))
    with pytest.raises(IntegrityError, match="its rows are not those of its digest"):
        rows_of(blob_of(pa.table({"n": [1, 3]})), file.digest)


@pytest.mark.parametrize(
    ("files", "digest"),
    [
        (f"partition=2024-01-02/{'a' * 64}.parquet", "a" * 64),
        (f"partition=2024-01-02/part-0-{'a' * 64}.parquet", None),
        (f"partition=a/{'a' * 64}.parquet partition=a/{'b' * 64}.parquet", None),
    ],
)
def test_only_a_file_of_one_s_own_names_its_rows(files: str, digest: str | None) -> None:
    assert digest_of(files) == digest


def test_columns_that_came_later_are_null() -> None:
    now = pa.schema({"new": pa.string(), "n": pa.float64()})
    found = as_read(pa.table({"n": pa.array([1, 2], pa.int64())}), "k", now)
    assert found.to_pydict() == {"new": [None, None], "n": [1.0, 2.0], "partition": ["k", "k"]}
    with pytest.raises(IntegrityError, match="do not fit"):
        as_read(pa.table({"n": ["x"]}), "k", now)
