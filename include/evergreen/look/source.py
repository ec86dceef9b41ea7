"""What a person names to be looked at: a file or an address, a table, a source of a pipeline."""

from __future__ import annotations

import os
from pathlib import Path

from evergreen.connections import Connect, from_environment
from evergreen.description import pipelines_folder
from evergreen.errors import SourceError
from evergreen.look.api import look_at_api
from evergreen.look.described import look_at_source
from evergreen.look.file import look_at_file
from evergreen.look.found import Look
from evergreen.look.table import kind_of_lake, look_at_lake, look_at_table, tables

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

    `connection` has the keys of an address, `partition` is that of a pipeline's source. Raises as
    `look_at_table`, `look_at_api`, `look_at_source` and `look_at_file` do.
    """
    if table is not None and table.startswith("/"):
        return look_at_api(source, table, most, connect)
    if table is not None:
        return look_at_table(source, table, most, connect)
    pipeline, dot, name = source.partition(".")
    if dot and not Path(source).exists() and (pipelines_folder() / pipeline / "pipeline.yaml").is_file():
        return look_at_source(pipeline, name, partition, most, connect)
    if f"AIRFLOW_CONN_{source.upper()}" in os.environ and not Path(source).exists():
        there = ", ".join(tables(connect(source))[:_MOST_SHOWN])
        hint = f" (there: {there})" if there else ", or a path of its API"
        raise SourceError(f"'{source}' is a connection: name a table too{hint}")
    if kind := kind_of_lake(source):
        return look_at_lake(kind, source, most, connect)
    return look_at_file(source, most, connection, connect)
