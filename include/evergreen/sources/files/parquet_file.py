"""Parquet files to rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.rows.batches import Rows
from evergreen.rows.texts import is_text
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.typed_files import Again, TypedFile, TypedFormat, read_typed_files

_BATCH_ROWS = 65_536
_BUFFER = 2**20


def read_parquet_files(files: Sequence[LocatedFile], types: Mapping[str, str], zone: Zone = UTC_ZONE) -> Rows:
    """The rows of Parquet files; raises as `read_typed_files` does."""
    return read_typed_files(_PARQUET, files, types, zone)


@contextmanager
def _open(file: IO[bytes], again: Again) -> Iterator[TypedFile]:
    # INT96 counts nanoseconds from year -4712 on, of which Arrow's own hold the years 1677 to 2262.
    options = {
        "buffer_size": _BUFFER,
        "page_checksum_verification": True,
        "coerce_int96_timestamp_unit": "us",
    }
    with pq.ParquetFile(file, **options) as parquet:
        yield TypedFile(parquet.schema_arrow, lambda: _batches(parquet, again))


def _batches(parquet: pq.ParquetFile, again: Again) -> Iterator[tuple[pa.RecordBatch, dict[int, str]]]:
    with _nanoseconds(parquet, again) as fine:
        for batch in parquet.iter_batches(_BATCH_ROWS):
            check_whole(batch)
            yield batch, _too_fine(batch, next(fine))


@contextmanager
def _nanoseconds(parquet: pq.ParquetFile, again: Again) -> Iterator[Iterator[pa.RecordBatch | None]]:
    """The file's INT96 columns, batch by batch, in nanoseconds; each None if there are none."""
    names = [column.name for column in parquet.schema if column.physical_type == "INT96"]
    if not names:
        yield repeat(None)
        return
    with again() as file, pq.ParquetFile(file) as fine:
        yield fine.iter_batches(_BATCH_ROWS, columns=names)


def _too_fine(batch: pa.RecordBatch, fine: pa.RecordBatch | None) -> dict[int, str]:
    """By index why rows cannot be kept: an INT96 time has digits behind the microseconds.

    Nanoseconds overflow outside the years 1677 to 2262, but their difference from the microseconds, which
    is less than a thousand, does not change by that.
    """
    found: dict[int, str] = {}
    for name, column in zip(fine.schema.names, fine.columns, strict=True) if fine is not None else ():
        whole, exact = (
            times.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
            for times in (batch.column(name), column)
        )
        for at in np.flatnonzero(exact - whole * 1000).tolist():
            found.setdefault(at, f"column '{name}': a time with digits behind the microseconds")
    return found


def check_whole(batch: pa.RecordBatch) -> None:
    """Raise `pa.ArrowInvalid` for a damaged page, which may hold anything; texts are checked row by row."""
    for column in batch.columns:
        column.validate(full=not is_text(column.type))


_PARQUET = TypedFormat("Parquet", _open)
