"""One source's rows of one partition, whatever its kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from evergreen.errors import SourceError, UnavailableError
from evergreen.pipeline import Pipeline
from evergreen.rows.batches import Rows
from evergreen.sources.files.read import read_file
from evergreen.sources.http.read import read_http
from evergreen.sources.postgres.read import read_postgres

if TYPE_CHECKING:
    from evergreen.sources.checkpoint import Checkpoint


def extract(
    pipeline: Pipeline, source_name: str, partition: str, checkpoint: Checkpoint | None = None
) -> Rows:
    """The rows of the named source that belong to a partition, in the lake's types, as they come.

    With a `checkpoint` an API's read goes on where an earlier attempt ended. Raises `SourceError` and
    `UnavailableError`, here or while the rows are read, prefixed with pipeline, partition and source.
    """
    where = f"{pipeline.name} {partition}: source '{source_name}'"
    with _telling(where):
        rows = _read(pipeline, source_name, partition, checkpoint)
    return Rows(rows.schema, _batches(rows, where), rows.rejected)


def _read(pipeline: Pipeline, source_name: str, partition: str, checkpoint: Checkpoint | None) -> Rows:
    spec = pipeline.spec
    source, calendar = spec.sources[source_name], spec.calendar
    start, end = (calendar.start(partition), calendar.end(partition)) if calendar.has_time else (None, None)
    if source.postgres:
        connection = pipeline.connect(source.postgres.conn_id)
        return read_postgres(source.postgres, connection, spec.folder, start, end)
    if source.http:
        return read_http(source.http, pipeline.connect(source.http.conn_id), partition, checkpoint)
    assert source.file is not None
    return read_file(source.file, spec.folder, pipeline.storage, partition, start)


def _batches(rows: Rows, where: str) -> Iterator[pa.RecordBatch]:
    try:
        with _telling(where):
            yield from rows
    finally:
        rows.close()


@contextmanager
def _telling(where: str) -> Iterator[None]:
    try:
        yield
    except (SourceError, UnavailableError) as error:
        raise type(error)(f"{where}: {error}") from None
