"""A SQL file asked of any database whether a partition is complete."""

from __future__ import annotations

from datetime import timedelta

from evergreen.databases.database import Bounds
from evergreen.databases.registry import database, session
from evergreen.errors import SourceError
from evergreen.sources.kind import Wanted
from evergreen.sources.sql.description import SqlSource
from evergreen.sources.sql.read import file_query
from evergreen.sources.sql_answer import missing
from evergreen.sources.sql_description import SqlQuestion

TIMEOUT = timedelta(minutes=1)


def ask_sql(source: SqlSource, question: SqlQuestion, wanted: Wanted) -> str | None:
    """What the query in a SQL file says is missing; None if the first value of its first row is true, or 1.

    Raises `SourceError` for a file that holds no query and for a query that fails or answers neither true nor
    false; `UnavailableError` where the database cannot be reached or takes longer than a minute.
    """
    connection = wanted.connect(source.conn_id)
    bounds = Bounds.of(wanted.start, wanted.end, source.local_zone(wanted.zone))
    with session(connection, timeout=TIMEOUT) as opened:
        try:
            backslashes = database(connection).backslashes
            query, _, values = file_query(
                opened, wanted.folder, question.sql, bounds, backslashes=backslashes
            )
        except SourceError as error:
            raise SourceError(f"complete.sql: {error}") from None
        rows = opened.fetch(query, values)
    return missing(question.sql, rows[0] if rows else None, numbers=True)
