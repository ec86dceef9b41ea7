"""A look at what a person names: a file or an address, a table, an API, a source of a pipeline."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from evergreen.connections import Connect, from_environment
from evergreen.description import pipelines_folder, read_mapping
from evergreen.errors import NotFoundError, SourceError
from evergreen.rows.batches import Rows
from evergreen.sources import Source, Wanted
from evergreen.sources.look.api import look_at_api
from evergreen.sources.look.compose import Material, composed
from evergreen.sources.look.description import source_name
from evergreen.sources.look.file import look_at_file
from evergreen.sources.look.found import Look
from evergreen.sources.look.table import kind_of_lake, look_at_database, look_at_lake, look_at_table, tables
from evergreen.spec import load_spec, pipeline_names, pipelines_of
from evergreen.storage import Storage

_MOST_SHOWN = 20


def look_at(
    source: str,
    table: str | None = None,
    most: int = 100_000,
    *,
    partition: str | None = None,
    connection: str | None = None,
    connect: Connect = from_environment,
) -> Look:
    """The look at what is named: a connection's `table`, or path of an API, a pipeline's source, or a file.

    A file that is a database needs its `table` too.

    `connection` has the keys of an address, `partition` is that of a pipeline's source. Raises as
    `look_at_table`, `look_at_api`, `look_at_source` and `look_at_file` do.
    """
    named = connection or f"{source_name(Path(source).stem)}_db"
    if of_database := look_at_database(source, table, most, named):
        return of_database[0]
    if table is not None and table.startswith("/"):
        return look_at_api(source, table, most, connect)
    if table is not None:
        return look_at_table(source, table, most, connect)
    pipeline, dot, name = source.partition(".")
    if dot and not Path(source).exists() and (described := _described(pipeline)):
        return look_at_source(described, name, partition, most, connect)
    if f"AIRFLOW_CONN_{source.upper()}" in os.environ and not Path(source).exists():
        there = ", ".join(tables(connect(source))[:_MOST_SHOWN])
        hint = f" (there: {there})" if there else ", or a path of its API"
        raise SourceError(f"'{source}' is a connection: name a table too{hint}")
    if kind := kind_of_lake(source):
        return look_at_lake(kind, source, most, connect)
    return look_at_file(source, most, connection, connect)


def _described(name: str) -> str | None:
    """The pipeline of this name, or the first of its folder's: all have the same sources. None if unknown."""
    first = pipelines_of(name)[0]
    return first if pipelines_folder().is_dir() and first in pipeline_names() else None


def look_at_source(pipeline: str, name: str, partition: str | None, most: int, connect: Connect) -> Look:
    """What a source of a pipeline gives for a partition, by default the pipeline's first one.

    The YAML is the source's own, with what was found beside it. Raises as `load_spec` and the source's reader
    do, and `NotFoundError` for a source that the pipeline does not have.
    """
    spec = load_spec(pipeline)
    if name not in spec.sources:
        raise NotFoundError(f"{pipeline} has no source '{name}' (there: {', '.join(spec.sources)})")
    kind = spec.sources[name].kind
    config = read_mapping(spec.folder / "pipeline.yaml")["sources"][name][kind]
    key = spec.calendar.check(partition or spec.first_partition)
    storage: Any = Storage.open() if "s3://" in str(config) else None

    def read(source: Source) -> Rows:
        return source.read(Wanted(key, spec.calendar, spec.folder, storage, connect))

    return composed(Material(f"{pipeline}.{name}, partition {key}", name, kind, config, read, most))
