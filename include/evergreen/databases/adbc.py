"""Sessions by an ADBC driver: results come as Arrow batches, without Python objects for rows."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

import pyarrow as pa
from adbc_driver_manager import dbapi

from evergreen.databases.database import Query, Reject, Session
from evergreen.databases.deadline import Deadline
from evergreen.databases.errors import Meaning
from evergreen.postgres import stream

# Errors on the way come from pyarrow where the driver gives them no state.
ERRORS: tuple[type[Exception], ...] = (dbapi.Error, OSError, pa.ArrowException)
_NO_CREDENTIALS = "constructing client"  # BigQuery's, whose error has no state
_STATES = {
    "UNAUTHENTICATED": Meaning.UNWELCOME,
    "UNAUTHORIZED": Meaning.WRONG,
    "TIMEOUT": Meaning.LATE,
    "CANCELLED": Meaning.LATE,
    "IO": Meaning.UNAVAILABLE,
}


def meaning(error: Exception) -> Meaning:
    """What an error of a driver says by its status."""
    status = getattr(getattr(error, "status_code", None), "name", "")
    if _NO_CREDENTIALS in str(error):
        return Meaning.UNWELCOME
    return _STATES.get(status, Meaning.WRONG)


def meaning_in_process(error: Exception, *, is_locked: bool) -> Meaning:
    """What an error of a database in a file says: it is out of reach only while it is locked."""
    if is_locked:
        return Meaning.UNAVAILABLE
    found = meaning(error)
    return Meaning.WRONG if found is Meaning.UNAVAILABLE else found


class AdbcSession(Session):
    """A session on an ADBC connection whose driver can be cancelled."""

    def __init__(self, connection: dbapi.Connection, deadline: Deadline) -> None:
        self.connection = connection
        self.deadline = deadline

    def quoted(self, name: str) -> str:
        """In double quotes, as in standard SQL."""
        return '"' + name.replace('"', '""') + '"'

    def selected(self, name: str, kind: str, declared: str | None) -> str:
        """The column's SQL, cast where the driver has no lossless Arrow type for it."""
        return self.quoted(name)

    def select(self, query: Query) -> str:
        """The whole statement. Names were found in the catalogue and are quoted."""
        columns = [
            f"{self.selected(name, kind, query.types.get(name))} AS {self.quoted(name)}"
            for name, kind in query.columns.items()
        ]
        return f"SELECT {', '.join(columns)} {query.origin}"

    def stream(self, query: Query, reject: Reject) -> Generator[Any, None, None]:
        """The result's schema, then its batches."""
        with closing(self.connection.cursor()) as cursor:
            with self.deadline.cancelling(cursor.adbc_cancel):
                cursor.execute(self.select(query), list(query.values) or None)
                batches = stream(cursor)
            yield batches.schema
            with closing(batches):
                while True:
                    try:
                        with self.deadline.cancelling(cursor.adbc_cancel):
                            batch = batches.read_next_batch()
                    except StopIteration:
                        break
                    yield batch

    def fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a small result."""
        with closing(self.connection.cursor()) as cursor, self.deadline.cancelling(cursor.adbc_cancel):
            cursor.execute(statement, list(values) or None)
            return list(cursor.fetchall()) if cursor.description else []


def table_names(name: str, default: str) -> list[tuple[str, str]]:
    """What a table's name may mean: schema and table. A dot may be part of a table's own name."""
    schema, dot, rest = name.partition(".")
    return [(default, name), *([(schema, rest)] if dot and schema and rest else [])]


def base_type(kind: str) -> str:
    """A type's name without its length: `DECIMAL` of `DECIMAL(12,2)`."""
    return re.split(r"[(\[<]", kind, maxsplit=1)[0].strip().upper()
