"""CSV files to Arrow: beside the pipeline, anywhere on disk, or in S3."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import csv

from evergreen.errors import NotFoundError, SourceError
from evergreen.ingestion.columns import TIME, normalise
from evergreen.spec import FileSource
from evergreen.storage import Storage


def read_file(source: FileSource, folder: Path, storage: Storage, partition: str) -> pa.Table:
    """The rows of the source's CSV file; a relative path starts at the pipeline's `folder`.

    An `s3://` address is read with the storage's credentials. Numbers are float64, times
    `timestamp[us, UTC]` (without a zone: taken as UTC), empty fields null. Raises `SourceError` for a
    missing file, one that is no CSV, or a `time_column` that holds no times.
    """
    path = source.path.replace("{partition}", partition)
    body = _from_s3(path, storage) if path.startswith("s3://") else _from_disk(folder / path)
    try:
        table = csv.read_csv(
            pa.BufferReader(body), convert_options=csv.ConvertOptions(strings_can_be_null=True)
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise SourceError(f"{path} is not a CSV file with a header: {error}: mend the file") from None
    return _with_times(normalise(table, whole_numbers=False), source, path)


def _with_times(table: pa.Table, source: FileSource, path: str) -> pa.Table:
    name = source.time_column
    if name is None:
        return table
    if name not in table.column_names:
        raise SourceError(
            f"{path} has no column '{name}' (there: {', '.join(table.column_names)}): mend the file or the "
            "source's time_column"
        )
    column = table.column(name)
    if not (pa.types.is_temporal(column.type) or pa.types.is_null(column.type)):
        raise SourceError(f"{path}: column '{name}' holds no times: write them like 2024-01-31T05:00:00Z")
    return table.set_column(table.column_names.index(name), name, column.cast(TIME))


def _from_disk(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(
            f"file {path} cannot be read ({error.strerror}): put it there or change the source's path"
        ) from None


def _from_s3(address: str, storage: Storage) -> bytes:
    parts = urlsplit(address)
    folder, _, key = parts.path.lstrip("/").rpartition("/")
    try:
        return Storage(parts.netloc, folder, storage.credentials).read(key).body
    except NotFoundError:
        raise SourceError(f"{address} does not exist: put it there or change the source's path") from None
