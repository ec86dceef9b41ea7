"""Files of rows to Arrow: beside the pipeline, anywhere on disk, or in S3."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal

import pyarrow as pa

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.sources.files.decompress import SUFFIXES
from evergreen.sources.files.description import FileSource
from evergreen.sources.files.locate import LocatedFile, fill, locate
from evergreen.sources.files.parquet_file import read_parquet_files
from evergreen.sources.files.text_files import read_csv_files, read_json_files
from evergreen.sources.local_times import with_event_time
from evergreen.storage import Storage

Format = Literal["csv", "json_lines", "parquet"]
_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def read_file(
    source: FileSource,
    folder: Path,
    storage: Storage,
    partition: str,
    start: datetime | None,
    *,
    zone: Zone = UTC_ZONE,
) -> Rows:
    """The rows of the source's files for a partition that begins at the local time `start`, if it has time.

    The files are those of `locate`, one after another. CSV and JSON lines are read once into a temporary
    file to find the columns' types, and from there in batches; Parquet at once in batches. The column
    `time_column` is `timestamp[us, UTC]`; a time without an offset, or a day, is local in `zone`. Raises
    `SourceError` and `UnavailableError`, for Parquet also while the rows are read; records that cannot be
    read are in `rejected`.
    """
    files = locate(source.path, folder, storage, partition, start)
    if not files:
        pattern = fill(source.path, partition, start)
        where = "" if pattern.startswith(("s3://", "/")) else f" in {folder}"
        raise SourceError(f"no file matches {pattern}{where}: put one there or change the source's path")
    rows = _read(source, files, zone)
    try:
        _check_times(rows.schema, source, files[0].name)
        return with_event_time(rows, source.time_column, zone)
    except SourceError:
        rows.close()
        raise


def _read(source: FileSource, files: Sequence[LocatedFile], zone: Zone) -> Rows:
    formats = {source.format or _format_of(located.name) for located in files}
    if len(formats) > 1:
        raise SourceError(
            f"path {source.path} matches files of different formats ({', '.join(sorted(formats))}): narrow it"
        )
    match formats.pop():
        case "csv":
            return read_csv_files(files, source.csv, source.types, zone)
        case "json_lines":
            return read_json_files(files, source.types, zone)
        case "parquet":
            return read_parquet_files(files, source.types, zone)


def _format_of(name: str) -> Format:
    path = PurePosixPath(name)
    suffix = PurePosixPath(path.stem).suffix if path.suffix in SUFFIXES else path.suffix
    if suffix not in _FORMATS:
        raise SourceError(
            f"{name} has a name that does not tell its format ({', '.join(_FORMATS)}): say in the source "
            "'format: csv', 'json_lines' or 'parquet'"
        )
    return _FORMATS[suffix]


def _check_times(schema: pa.Schema, source: FileSource, first: str) -> None:
    name = source.time_column
    if name is None:
        return
    if name not in schema.names:
        raise SourceError(
            f"{first} has no column '{name}' (there: {', '.join(schema.names)}): fix the file or the "
            "source's time_column"
        )
    kind = schema.field(name).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_null(kind)):
        raise SourceError(
            f"{first}: column '{name}' holds no times: write them like 2024-01-31T05:00:00Z, or declare "
            f"under the source's types how they are written: {{{name}: date %d.%m.%Y}}"
        )
