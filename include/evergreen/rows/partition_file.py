"""A partition as a file: rows written to a local temporary Parquet file, stored under their digest.

The local file has no name, so a writer that is killed leaves nothing behind.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from evergreen.rows.digest import RowsDigest

ROW_GROUP = 131_072
RECORD = b"evergreen"
_SAMPLE = 4_096  # texts that tell whether most of a column's differ


@dataclass(frozen=True)
class PartitionFile:
    """A whole partition: number of rows, their digest, the file's size.

    `body` is the local file; `staged` is the key of a file that is already in the storage.
    """

    rows: int
    digest: str
    size: int
    body: IO[bytes] | None = field(default=None, repr=False, compare=False)
    staged: str | None = field(default=None, compare=False)

    def path(self, partition: str) -> str:
        """The path of the file below its table's folder."""
        return f"partition={partition}/{self.digest}.parquet"

    def to_dict(self) -> dict[str, Any]:
        """All but the body, as JSON values."""
        return {"rows": self.rows, "digest": self.digest, "size": self.size}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], staged: str) -> PartitionFile:
        """The file that `to_dict` described, now at a key of the storage."""
        return cls(values["rows"], values["digest"], values["size"], staged=staged)

    def close(self) -> None:
        """Delete the local file."""
        if self.body is not None:
            self.body.close()

    def batches(self, size: int = ROW_GROUP) -> Iterator[pa.RecordBatch]:
        """The rows of the local file, in batches of at most `size`."""
        assert self.body is not None
        self.body.seek(0)
        yield from pq.ParquetFile(self.body).iter_batches(batch_size=size)


class PartitionWriter:
    """Writes one partition's rows. Memory is bounded by a row group of 131,072 rows."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._digest = RowsDigest(schema)
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="evergreen-")  # noqa: SIM115 - lives on
        self._parquet: pq.ParquetWriter | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows of the writer's schema."""
        if not batch.num_rows:
            return
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        while self._waiting_rows >= ROW_GROUP:
            self._write_group(ROW_GROUP)

    def finish(self, record: Mapping[str, Any] | None = None) -> PartitionFile:
        """Close the file, with a record (JSON values) in its footer, and return it."""
        if self._waiting_rows:
            self._write_group(self._waiting_rows)
        parquet = self._opened(self.schema.empty_table())
        if record is not None:
            parquet.add_key_value_metadata({RECORD: json.dumps(record, allow_nan=False).encode()})
        parquet.close()
        self._file.flush()
        size = self._file.seek(0, 2)
        return PartitionFile(self._rows, self._digest.hexdigest(), size, self._file)

    def discard(self) -> None:
        """Delete the file."""
        if self._parquet is not None:
            self._parquet.close()
        self._file.close()

    def _opened(self, first: pa.Table) -> pq.ParquetWriter:
        """The Parquet file, opened with the encodings that suit its first rows."""
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(
                self._file,
                self.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=False,
                column_encoding=_encodings(first),
            )
        return self._parquet

    def _write_group(self, rows: int) -> None:
        table = pa.Table.from_batches(self._waiting, self.schema)
        group = table.slice(0, rows).combine_chunks()
        rest = table.slice(rows)
        _add(self._digest, group)
        self._opened(group).write_table(group, row_group_size=ROW_GROUP)
        self._waiting, self._waiting_rows = rest.to_batches(), rest.num_rows
        self._rows += rows


def file_of(rows: pa.Table, record: Mapping[str, Any] | None = None) -> PartitionFile:
    """The file of these rows, with a record (JSON values) in its footer."""
    writer = PartitionWriter(rows.schema)
    for batch in rows.to_batches():
        writer.write(batch)
    return writer.finish(record)


def rows_digest(rows: pa.Table) -> str:
    """The digest that a partition's file of these rows is named by."""
    digest = RowsDigest(rows.schema)
    for group in _groups(rows):
        _add(digest, group)
    return digest.hexdigest()


def footer_size(tail: bytes) -> int:
    """The size in bytes of a Parquet file's footer, read from the file's last 8 bytes."""
    return int.from_bytes(tail[-8:-4], "little") + 8


def read_record(tail: bytes) -> dict[str, Any]:
    """The record in a partition's file; `tail` is its end with the whole footer. Empty if there is none."""
    found = (pq.read_metadata(pa.BufferReader(tail)).metadata or {}).get(RECORD)
    return dict(json.loads(found)) if found else {}


def count_values(tail: bytes, columns: Sequence[str] | None = None) -> int:
    """Rows times columns of a partition's file, or those of them that are among `columns`.

    `tail` is its end with the whole footer.
    """
    metadata = pq.read_metadata(pa.BufferReader(tail))
    there = metadata.schema.to_arrow_schema().names
    return int(metadata.num_rows * sum(columns is None or name in columns for name in there))


def read_columns(body: bytes, columns: Sequence[str]) -> pa.Table:
    """Those columns of a partition's file that are among `columns`; an older release may have had fewer."""
    file = pq.ParquetFile(pa.BufferReader(body))
    # Files are read side by side; to start threads for one takes as long as to read a small one.
    return file.read([name for name in columns if name in file.schema_arrow.names], use_threads=False)


def read_bounds(tail: bytes, column: str) -> list[int]:
    """Smallest and largest value of a column of whole numbers in each row group of a file that has some."""
    metadata = pq.read_metadata(pa.BufferReader(tail))
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [group.column(at) for group in groups for at in range(group.num_columns)]
    found = [one.statistics for one in columns if one.path_in_schema == column]
    return [bound for one in found if one is not None and one.has_min_max for bound in (one.min, one.max)]


def _groups(rows: pa.Table) -> Iterator[pa.Table]:
    for first in range(0, len(rows), ROW_GROUP):
        yield rows.slice(first, ROW_GROUP).combine_chunks()


def _add(digest: RowsDigest, group: pa.Table) -> None:
    for batch in group.to_batches():
        digest.add(batch)


def _encodings(first: pa.Table) -> dict[str, str]:
    """The encoding of each column that is not stored plainly, chosen by the first rows."""
    stepped = {f.name: "DELTA_BINARY_PACKED" for f in first.schema if _in_steps(f.type)}
    texts = [f.name for f in first.schema if pa.types.is_string(f.type)]
    return stepped | {name: "DELTA_LENGTH_BYTE_ARRAY" for name in texts if _differ(first.column(name))}


def _differ(texts: pa.ChunkedArray) -> bool:
    """Whether most texts differ: their lengths compress better apart from them, repeated ones together."""
    sample = texts.slice(0, _SAMPLE)
    return bool(2 * pc.count_distinct(sample).as_py() > len(sample))


def _in_steps(kind: pa.DataType) -> bool:
    """Whether values are whole numbers or times, whose neighbours usually differ little."""
    return bool(pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind))
