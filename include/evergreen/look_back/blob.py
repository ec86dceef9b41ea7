"""A published partition as one blob: its rows as an Arrow IPC stream, and their digest. Pure."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.parquet as pq

from evergreen.errors import IntegrityError
from evergreen.lake import PARTITION
from evergreen.rows.partition_file import rows_digest

_FILE = re.compile(r"partition=[^/ ]+/([0-9a-f]{64})\.parquet")


def digest_of(files: str) -> str | None:
    """The digest of a partition's rows, from the name of its file in the lake (`Lake.files`).

    None where others have written or rewritten the partition: its name then says nothing about its rows.
    """
    found = _FILE.fullmatch(files)
    return found[1] if found else None


def file_rows(parquet: bytes, digest: str) -> pa.Table:
    """The rows in a partition's file; raises `IntegrityError` if they are not those of the digest."""
    try:
        rows = pq.read_table(pa.BufferReader(parquet)).replace_schema_metadata(None)
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(f"it cannot be read ({type(error).__name__})") from None
    return _checked(rows, digest)


def blob_of(rows: pa.Table) -> bytes:
    """The rows as a blob."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(rows)
    return bytes(sink.getvalue().to_pybytes())


def rows_of(blob: bytes, digest: str) -> pa.Table:
    """The rows in a blob; raises `IntegrityError` if they are not those of the digest."""
    try:
        rows = pa.ipc.open_stream(pa.BufferReader(blob)).read_all()
    except (pa.ArrowException, OSError, EOFError) as error:
        raise IntegrityError(f"it cannot be read ({type(error).__name__})") from None
    return _checked(rows, digest)


def as_read(rows: pa.Table, partition: str, columns: pa.Schema) -> pa.Table:
    """The rows as the lake's table gives them, whose columns are `columns`, without `partition`.

    A column that is newer than the rows is null. Raises `IntegrityError` for rows that do not fit.
    """
    try:
        arrays = [
            rows.column(field.name).cast(field.type)
            if field.name in rows.column_names
            else pa.nulls(len(rows), field.type)
            for field in columns
        ]
    except pa.ArrowException as error:
        raise IntegrityError(f"its columns do not fit the table's ({type(error).__name__})") from None
    keys = pa.array([partition] * len(rows), pa.string())
    return pa.table([*arrays, keys], names=[*columns.names, PARTITION])


def _checked(rows: pa.Table, digest: str) -> pa.Table:
    if rows_digest(rows) != digest:
        raise IntegrityError("its rows are not those of its digest")
    return rows
