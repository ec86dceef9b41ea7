"""Files of rows to Arrow: beside the pipeline, anywhere on disk, or in one of `PLACES`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.sources.files.address import Address
from evergreen.sources.files.description import FileSource
from evergreen.sources.files.formats import FORMATS, format_of
from evergreen.sources.files.locate import LocatedFile, fill, locate
from evergreen.sources.files.row_numbers import with_row_number
from evergreen.sources.local_times import with_event_time
from evergreen.sources.text.column_types import TextTypes
from evergreen.storage import Storage


def read_file(
    source: FileSource,
    folder: Path,
    storage: Storage,
    partition: str,
    start: datetime | None,
    *,
    zone: Zone = UTC_ZONE,
    published: Mapping[str, str] = {},
    connection: Connection | None = None,
) -> Rows:
    """The rows of the source's files for a partition that begins at the local time `start`, if it has time.

    The files are those of `locate`, one after another; `connection` is the source's, if it names one. Formats
    without types (CSV, JSON lines, Excel) are read once into a temporary file to find the columns' types,
    unless they are declared or `published`, and from there in batches; those with types at once in batches.
    The column `time_column` is `timestamp[us, UTC]`; a time without an offset, or a day, is local in `zone`.
    Raises `SourceError` and `UnavailableError`, for formats with types also while the rows are read; records
    that cannot be read are in `rejected`. With `row_number` the rows are numbered before any is left out.
    """
    files = locate(source.path, folder, storage, partition, start, connection=connection)
    if not files:
        pattern = fill(source.path, partition, start)
        where = "" if Address.of(pattern).scheme or pattern.startswith("/") else f" in {folder}"
        raise SourceError(f"no file matches {pattern}{where}: put one there or change the source's path")
    rows = _read(source, files, zone, published)
    try:
        _check_times(rows.schema, source, files[0].name)
        return with_event_time(rows, source.time_column, zone)
    except SourceError:
        rows.close()
        raise


def _read(source: FileSource, files: Sequence[LocatedFile], zone: Zone, published: Mapping[str, str]) -> Rows:
    formats = {source.format or format_of(located.name) for located in files}
    if len(formats) > 1:
        raise SourceError(
            f"path {source.path} matches files of different formats ({', '.join(sorted(formats))}): narrow it"
        )
    format_ = FORMATS[formats.pop()]
    if not format_.has_types:
        source = source.model_copy(update={"types": TextTypes(source.types, published)})
    return with_row_number(format_.read(source, files, zone), source.row_number)


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
