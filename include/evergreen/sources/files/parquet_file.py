"""Parquet files to rows, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import SourceError, one_line
from evergreen.rows.batches import Rows
from evergreen.rows.columns import LakeTypes, is_text
from evergreen.rows.names import check_declared
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.text.lines import Rejections
from evergreen.sources.typed import lake_rows

_BATCH_ROWS = 65_536
_BUFFER = 2**20


def read_parquet_files(files: Sequence[LocatedFile], types: Mapping[str, str], zone: Zone = UTC_ZONE) -> Rows:
    """The rows of Parquet files with the same columns, in the order of the first file.

    Types are the lake's: see `LakeTypes`; an integer stays one. Where files differ in a column's type it has
    the one that holds both. Raises `SourceError`, here or while the rows are read, for a file that is
    damaged, and columns that differ. Rows with a value that its column's type cannot hold are rejected.
    """
    lake, rejections = LakeTypes(types, zone=zone), Rejections()
    schemas = []
    for located in files:
        with _opened(located) as parquet:
            check_declared(types, parquet.schema_arrow.names)
            schemas.append(lake.schema(parquet.schema_arrow))
    schema = _common(files, schemas)
    return Rows(schema, _batches(files, lake, schema, rejections), rejections.found)


def _batches(
    files: Sequence[LocatedFile], lake: LakeTypes, schema: pa.Schema, rejections: Rejections
) -> Iterator[pa.RecordBatch]:
    for located in files:
        with _opened(located) as parquet, _nanoseconds(located, parquet) as fine:
            row = 1
            for batch in parquet.iter_batches(_BATCH_ROWS):
                _check_whole(batch)
                too_fine = _too_fine(batch, next(fine))
                rows = lake_rows(batch, lake, rejections, f"{located.name}, row", row, known=too_fine)
                row += batch.num_rows
                yield rows.select(schema.names).cast(schema)


@contextmanager
def _nanoseconds(located: LocatedFile, parquet: pq.ParquetFile) -> Iterator[Iterator[pa.RecordBatch | None]]:
    """The file's INT96 columns, batch by batch, in nanoseconds; each None if there are none."""
    names = [column.name for column in parquet.schema if column.physical_type == "INT96"]
    if not names:
        yield repeat(None)
        return
    with located.open() as file, _naming(located.name), pq.ParquetFile(file) as fine:
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


def _check_whole(batch: pa.RecordBatch) -> None:
    """Raise `pa.ArrowInvalid` for a damaged page, which may hold anything; texts are checked row by row."""
    for column in batch.columns:
        column.validate(full=not is_text(column.type))


def _common(files: Sequence[LocatedFile], schemas: Sequence[pa.Schema]) -> pa.Schema:
    first, names = files[0].name, schemas[0].names
    for located, schema in zip(files, schemas, strict=True):
        if differing := sorted(set(names) ^ set(schema.names)):
            raise SourceError(
                f"{located.name} and {first} differ in the columns {', '.join(differing[:10])}: fix them"
            )
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        reason = one_line(error, 200)
        raise SourceError(
            f"{first} and {len(files) - 1} more files have columns of different kinds ({reason}): fix the "
            "files or declare the columns' types"
        ) from None


@contextmanager
def _opened(located: LocatedFile) -> Iterator[pq.ParquetFile]:
    # INT96 counts nanoseconds from year -4712 on, of which Arrow's own hold the years 1677 to 2262.
    options = {
        "buffer_size": _BUFFER,
        "page_checksum_verification": True,
        "coerce_int96_timestamp_unit": "us",
    }
    with located.open() as file, _naming(located.name), pq.ParquetFile(file, **options) as parquet:
        yield parquet


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Name the file in errors."""
    try:
        yield
    except SourceError as error:
        raise SourceError(f"{name}: {error}") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = one_line(error, 200)
        raise SourceError(f"{name} is not a complete Parquet file ({reason}): write it again") from None
