"""A SQL file asked whether a partition is complete."""

from __future__ import annotations

from datetime import timedelta

from evergreen.errors import SourceError
from evergreen.postgres import transaction
from evergreen.sources.kind import Wanted
from evergreen.sources.postgres.bounds import bind, mark
from evergreen.sources.postgres.description import PostgresSource
from evergreen.sources.sql_answer import missing
from evergreen.sources.sql_description import SqlQuestion
from evergreen.sources.sql_file import read_sql_file

TIMEOUT = timedelta(minutes=1)


def ask_sql(source: PostgresSource, question: SqlQuestion, wanted: Wanted) -> str | None:
    """What the query in a SQL file says is missing; None if the first value of its first row is true.

    Raises `SourceError` for a file that holds no query and for a query that fails or answers neither true nor
    false; `UnavailableError` where the server cannot be reached or takes longer than a minute.
    """
    name = question.sql
    bounds = None if wanted.start is None or wanted.end is None else (wanted.start, wanted.end)
    try:
        query = read_sql_file(wanted.folder, name, mark, bounded=bounds is not None)
    except SourceError as error:
        raise SourceError(f"complete.sql: {error}") from None
    with transaction(
        wanted.connect(source.conn_id), read_only=True, timeout=TIMEOUT, timezone=wanted.zone.name
    ) as cursor:
        bind(cursor, bounds, source.local_zone(wanted.zone))
        cursor.execute(query)
        row = cursor.fetchone()
    return missing(name, row)
