"""One source's rows of one partition, whatever its kind."""

from __future__ import annotations

import pyarrow as pa

from evergreen.errors import SourceError, UnavailableError
from evergreen.ingestion.columns import whole
from evergreen.ingestion.file import read_file
from evergreen.ingestion.http import read_http
from evergreen.ingestion.postgres import read_postgres
from evergreen.pipeline import Pipeline
from evergreen.spec import Spec


def extract(pipeline: Pipeline, source_name: str, partition: str) -> pa.Table:
    """The rows of the named source that belong to a partition, in the lake's types.

    Whole numbers in the columns that rows are keyed and joined by are int64. Raises `SourceError` and
    `UnavailableError`, prefixed with pipeline, partition and source.
    """
    try:
        table = _read(pipeline, source_name, partition)
    except (SourceError, UnavailableError) as error:
        raise type(error)(f"{pipeline.name} {partition}: source '{source_name}': {error}") from None
    return whole(table, _key_columns(pipeline.spec, source_name))


def _read(pipeline: Pipeline, source_name: str, partition: str) -> pa.Table:
    spec = pipeline.spec
    source = spec.sources[source_name]
    if source.postgres:
        calendar = spec.calendar
        bounds = (calendar.start(partition), calendar.end(partition)) if calendar.has_time else (None, None)
        return read_postgres(source.postgres, pipeline.connect(source.postgres.conn_id), spec.folder, *bounds)
    if source.http:
        return read_http(source.http, pipeline.connect(source.http.conn_id), partition)
    assert source.file is not None
    return read_file(source.file, spec.folder, pipeline.storage, partition)


def _key_columns(spec: Spec, source_name: str) -> set[str]:
    names = set(spec.keys)
    for join in spec.join:
        if join.left == source_name:
            names.update(join.on)
        if join.right == source_name:
            names.update(join.on.values())
    return names
