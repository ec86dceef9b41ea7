"""Databases other than PostgreSQL as a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evergreen.sources.files import ask_file
from evergreen.sources.files.description import FileQuestion
from evergreen.sources.kind import SourceKind, Wanted, Window
from evergreen.sources.sql.description import SqlSource
from evergreen.sources.sql_description import SqlQuestion

if TYPE_CHECKING:
    from evergreen.connections import Connection
    from evergreen.rows.batches import Rows


def _read(source: SqlSource, wanted: Wanted) -> Rows:
    from evergreen.sources.sql.read import read_sql

    connection = wanted.connect(source.conn_id)
    return read_sql(source, connection, wanted.folder, wanted.start, wanted.end, zone=wanted.zone)


def _read_changed(source: SqlSource, wanted: Wanted, window: Window, columns: Sequence[str]) -> Rows:
    from evergreen.sources.local_times import with_event_time
    from evergreen.sources.sql.read import read_sql

    connection, zone = wanted.connect(source.conn_id), wanted.zone
    rows = read_sql(source.by_change(columns), connection, wanted.folder, *window, zone=zone)
    return with_event_time(rows, source.time_column, zone)


def _ask(source: SqlSource, question: SqlQuestion, wanted: Wanted) -> str | None:
    from evergreen.sources.sql.ask import ask_sql

    return ask_sql(source, question, wanted)


def _check_connection(_: SqlSource, connection: Connection) -> None:
    from evergreen.databases.registry import check_reads

    check_reads(connection)


SQL = SourceKind(
    SqlSource,
    _read,
    {SqlQuestion: _ask, FileQuestion: ask_file},
    check_connection=_check_connection,
    read_changed=_read_changed,
)
