"""Paged HTTP APIs as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.sources.files import ask_file
from evergreen.sources.files.description import FileQuestion
from evergreen.sources.http.description import FieldQuestion, HttpSource
from evergreen.sources.kind import SourceKind, Wanted

if TYPE_CHECKING:
    from evergreen.connections import Connection
    from evergreen.rows.batches import Rows


def _read(source: HttpSource, wanted: Wanted) -> Rows:
    from evergreen.sources.http.queried import values_of
    from evergreen.sources.http.read import read_http

    connection, bounds = wanted.connect(source.conn_id), (wanted.start, wanted.end)
    return read_http(
        source,
        connection,
        wanted.partition,
        wanted.checkpoint,
        wanted.zone,
        bounds=bounds,
        published=wanted.published,
        values=values_of(source, wanted),
    )


def _ask(source: HttpSource, question: FieldQuestion, wanted: Wanted) -> str | None:
    from evergreen.sources.http.ask import ask_field

    return ask_field(source, question, wanted)


def _check_connection(source: HttpSource, connection: Connection) -> None:
    from evergreen.databases.registry import check_reads
    from evergreen.sources.http.client import api_of

    if connection.conn_id == source.conn_id:
        api_of(connection, {})
    elif connection.conn_type != "postgres":  # a database's, for the values of `for_each`
        check_reads(connection)


HTTP = SourceKind(
    HttpSource, _read, {FieldQuestion: _ask, FileQuestion: ask_file}, check_connection=_check_connection
)
