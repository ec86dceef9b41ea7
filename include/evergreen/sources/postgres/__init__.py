"""PostgreSQL as a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evergreen.sources.files import ask_file
from evergreen.sources.files.description import FileQuestion
from evergreen.sources.kind import SourceKind, Wanted, Window
from evergreen.sources.postgres.description import PostgresSource
from evergreen.sources.sql_description import SqlQuestion

if TYPE_CHECKING:
    from evergreen.rows.batches import Rows


def _read(source: PostgresSource, wanted: Wanted) -> Rows:
    from evergreen.sources.postgres.read import read_postgres

    return read_postgres(
        source, wanted.connect(source.conn_id), wanted.folder, wanted.start, wanted.end, zone=wanted.zone
    )


def _read_changed(source: PostgresSource, wanted: Wanted, window: Window, columns: Sequence[str]) -> Rows:
    from evergreen.sources.local_times import with_event_time
    from evergreen.sources.postgres.read import read_postgres

    connection, zone = wanted.connect(source.conn_id), wanted.zone
    rows = read_postgres(source.by_change(columns), connection, wanted.folder, *window, zone=zone)
    return with_event_time(rows, source.time_column, zone)


def _ask(source: PostgresSource, question: SqlQuestion, wanted: Wanted) -> str | None:
    from evergreen.sources.postgres.ask import ask_sql

    return ask_sql(source, question, wanted)


POSTGRES = SourceKind(
    PostgresSource, _read, {SqlQuestion: _ask, FileQuestion: ask_file}, read_changed=_read_changed
)
