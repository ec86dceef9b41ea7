"""SQLite. A column's type is the declared one, and each value may have another: rows are checked by it.

A result is read as the columns are declared. Where a value does not fit, the driver says so, and the rest of
the result is read with a check of each value: the rows that hold another type are rejected one by one.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from adbc_driver_manager import dbapi
from adbc_driver_sqlite import StatementOptions
from adbc_driver_sqlite import dbapi as sqlite

from evergreen.connections import Connection
from evergreen.databases.adbc import ERRORS, AdbcSession, meaning_in_process
from evergreen.databases.database import Bounds, Query, Reject, TableFound
from evergreen.databases.deadline import Deadline
from evergreen.databases.errors import Meaning, TimedOutError, translated
from evergreen.databases.local_file import local_file
from evergreen.errors import SourceError
from evergreen.postgres import stream

_BATCH_ROWS = 2**16
_COLUMNS = "SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid"
_READ_ONLY = "PRAGMA query_only = {}"
_TABLES = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"
_MARGIN = timedelta(days=2)
_EPOCH = 2440587.5  # the Julian day of 1970


@dataclass(frozen=True)
class _Kind:
    """How a column is read: its lake type if Arrow's does not show it, a value like those that fit, its SQL.

    `fits` are the storage classes of values that are read; `also` is a condition on these.
    """

    witness: str
    fits: tuple[str, ...]
    sql: str = "{}"
    declared: str | None = None
    also: str = "1"


# What stands for a time is SQLite's own convention: ISO 8601 as text, seconds since 1970, Julian days.
# A number that is no time becomes a text that is none, and not NULL. Numbers are less than any text.
_MOMENT = (
    "CASE WHEN {0} < '' THEN CASE typeof({0}) "
    "WHEN 'integer' THEN coalesce(strftime('%Y-%m-%dT%H:%M:%SZ', {0}, 'unixepoch'), {0} || ' s since 1970') "
    "ELSE coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', {0}), 'Julian day ' || {0}) END ELSE {0} END"
)
_TIME = _Kind("''", ("text", "integer", "real"), _MOMENT, "time")
_DATE = _Kind("''", ("text", "integer", "real"), _MOMENT, "date")
_INT = _Kind("0", ("integer",))
_REAL = _Kind("0.0", ("real", "integer"))
# A blob that is UTF-8 is a text to SQLite's functions and its driver.
_TEXT = _Kind("''", ("text", "blob"), "CAST({0} AS TEXT)")
_BOOLEAN = _Kind("0", ("integer",), declared="boolean", also="{0} IN (0, 1)")
# A column of blobs, and one without a type, may hold anything.
_ANY = _Kind(
    "''",
    ("integer", "real", "text", "blob"),
    "CASE typeof({0}) WHEN 'blob' THEN '\\x' || lower(hex({0})) ELSE CAST({0} AS TEXT) END",
)
# Whole numbers, which may be stored as floating-point ones.
_WHOLE = _Kind(
    "''",
    ("integer", "real", "text"),
    "CASE WHEN typeof({0}) = 'real' AND {0} = CAST({0} AS INTEGER) THEN CAST(CAST({0} AS INTEGER) AS TEXT) "
    "ELSE CAST({0} AS TEXT) END",
)


class SqliteSession(AdbcSession):
    """A read-only session on a SQLite file."""

    exact_bounds = False

    def __init__(self, connection: dbapi.Connection, deadline: Deadline) -> None:
        super().__init__(connection, deadline)
        self.abandoned = False

    def tables(self) -> list[str]:
        """Tables and views."""
        return sorted(row[0] for row in self.fetch(_TABLES))

    def table(self, name: str) -> TableFound | None:
        """The table or view of the file."""
        for each in (name, name.removeprefix("main.")):
            if columns := dict(self.fetch(_COLUMNS, [each])):
                return TableFound(f"main.{self.quoted(each)}", columns)
        return None

    def described(self, statement: str) -> dict[str, str]:
        """The columns of a query, as those of a temporary view that is not kept."""
        # The view is not in the file, but SQLite has one setting for all that is written.
        self.fetch(_READ_ONLY.format("OFF"))
        self.fetch(f"CREATE TEMP VIEW evergreen_described AS {statement}")
        columns = dict(self.fetch(_COLUMNS, ["evergreen_described"]))
        self.fetch("DROP VIEW temp.evergreen_described")
        self.fetch(_READ_ONLY.format("ON"))
        return columns

    def value(self, moment: datetime) -> str:
        """As SQLite's own functions write times, in UTC, or local."""
        moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        return moment.isoformat(sep=" ")

    def between(self, name: str, kind: str, bounds: Bounds) -> tuple[str, tuple[Any, ...]] | None:
        """More rows than the partition's: what is no time is rejected when it is read, and not left out."""
        if _by_affinity(kind.upper()) is _ANY and kind:
            return None
        column = self.quoted(name)
        first, last = bounds.start.astimezone(UTC), bounds.end.astimezone(UTC)
        texts = [f"{_moved(moment, move):%Y-%m-%d}" for moment, move in ((first, -_MARGIN), (last, _MARGIN))]
        seconds = [first.timestamp(), last.timestamp()]
        julian = [seconds[0] / 86400 + _EPOCH - 0.1, seconds[1] / 86400 + _EPOCH + 0.1]
        # Most rows are texts within the margin, which the first condition tells quickly.
        return (
            f"({column} >= ? AND {column} < ?) OR CASE typeof({column}) "
            f"WHEN 'text' THEN {column} NOT GLOB '{_DAY}' "
            f"WHEN 'integer' THEN {column} >= ? AND {column} < ? "
            f"WHEN 'real' THEN {column} >= ? AND {column} < ? WHEN 'blob' THEN 1 END",
            (*texts, *seconds, *julian),
        )

    def declared(self, kind: str) -> str | None:
        """Times and truth values, which SQLite keeps as other types."""
        return _kind(kind, None).declared

    def stream(self, query: Query, reject: Reject) -> Generator[Any, None, None]:
        """The result's schema, then its batches; rows with a value of another type are rejected."""
        kinds = self._kinds(query)
        names = list(query.columns)
        schema = pa.schema([(name, _ARROW[kinds[name].witness]) for name in names])
        yield schema
        done = 0
        try:
            for batch in self._batches(_as_declared(self, query, kinds), query.values):
                # Upgraded by the first values: so one does not fit.
                if batch.schema.types != schema.types:
                    break
                rows = batch if done else batch.slice(1)
                done += batch.num_rows
                yield pa.RecordBatch.from_arrays(rows.columns, schema=schema)
            else:
                return
        except ERRORS as error:
            if "ype mismatch" not in str(error):
                raise
        yield from self._checked(query, kinds, schema, max(done - 1, 0), reject)

    def _checked(
        self, query: Query, kinds: Mapping[str, _Kind], schema: pa.Schema, done: int, reject: Reject
    ) -> Iterator[Any]:
        """The rows after the first `done`, value by value."""
        row = done - 1
        for batch in self._batches(_with_checks(self, query, kinds, done), query.values):
            reasons, texts = batch.column(len(schema)), batch.column(len(schema) + 1)
            if reasons.null_count < len(reasons):
                for at, reason in enumerate(reasons.to_pylist()):
                    if reason:
                        reject(row + at, texts[at].as_py() or "", reason)
            fit = batch.filter(reasons.is_null())
            row += batch.num_rows
            yield pa.RecordBatch.from_arrays(fit.columns[: len(schema)], schema=schema)

    def _kinds(self, query: Query) -> dict[str, _Kind]:
        found = {name: _kind(kind, query.types.get(name)) for name, kind in query.columns.items()}
        if untyped := [name for name, kind in query.columns.items() if not kind and name not in query.types]:
            raise SourceError(
                f"column '{untyped[0]}' has no type in SQLite: declare it under the source's types in "
                "pipeline.yaml, or write CAST(... AS INTEGER), REAL or TEXT"
            )
        return found

    def _batches(self, statement: str, values: Sequence[Any]) -> Iterator[pa.RecordBatch]:
        # The driver cannot be cancelled.
        try:
            yield from self.deadline.ahead(lambda: self._driven(statement, values))
        except TimedOutError:
            self.abandoned = True
            raise

    def _driven(self, statement: str, values: Sequence[Any]) -> Generator[pa.RecordBatch, None, None]:
        options = {StatementOptions.BATCH_ROWS.value: str(_BATCH_ROWS)}
        with closing(self.connection.cursor(adbc_stmt_kwargs=options)) as cursor:
            cursor.execute(statement, list(values) or None)
            yield from stream(cursor)

    def fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a small result."""
        try:
            return self.deadline.abandoning(lambda: self._fetched(statement, values))
        except TimedOutError:
            self.abandoned = True
            raise

    def _fetched(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(statement, list(values) or None)
            return list(cursor.fetchall()) if cursor.description else []


_ARROW = {"0": pa.int64(), "0.0": pa.float64(), "''": pa.string()}


def _kind(kind: str, declared: str | None) -> _Kind:
    """By SQLite's rules of affinity, and the names that people give to types it does not have."""
    name = kind.upper()
    if declared in ("time", "date"):
        return _TIME if declared == "time" else _DATE
    if declared == "text":
        return _ANY
    found = _by_affinity(name)
    if declared == "int" and found is not _INT:
        return _WHOLE
    if declared and declared.startswith("decimal") and found is not _INT:
        return _ANY
    return _REAL if found is _ANY and declared == "float" else found


def _by_affinity(name: str) -> _Kind:
    if not name:
        return _ANY
    return next((kind for parts, kind in _AFFINITIES if any(part in name for part in parts)), _REAL)


# In this order; what is in none of them holds numbers.
_AFFINITIES: tuple[tuple[tuple[str, ...], _Kind], ...] = (
    (("INT",), _INT),
    (("CHAR", "CLOB", "TEXT", "JSON", "UUID"), _TEXT),
    (("BLOB",), _ANY),
    (("REAL", "FLOA", "DOUB"), _REAL),
    (("BOOL",), _BOOLEAN),
    (("DATETIME", "TIMESTAMP"), _TIME),
    (("DATE",), _DATE),
    (("TIME",), _TEXT),
)


def _as_declared(session: SqliteSession, query: Query, kinds: Mapping[str, _Kind]) -> str:
    """A first row of values that fit, from which the driver takes the types, then the result."""
    witness = ", ".join(f"{kind.witness} AS {session.quoted(name)}" for name, kind in kinds.items())
    columns = ", ".join(kind.sql.format(session.quoted(name)) for name, kind in kinds.items())
    return f"SELECT {witness} UNION ALL SELECT * FROM (SELECT {columns} {query.origin})"  # noqa: S608 - quoted


def _with_checks(session: SqliteSession, query: Query, kinds: Mapping[str, _Kind], done: int) -> str:
    columns, reasons, texts, witness = [], [], [], []
    for name, kind in kinds.items():
        column = session.quoted(name)
        storages = ", ".join(repr(storage) for storage in kind.fits)
        fits = f"typeof({column}) IN ({storages}) AND {kind.also.format(column)}"
        columns.append(f"CASE WHEN {fits} THEN {kind.sql.format(column)} END")
        said = _literal(f"column '{name}' of type {query.columns[name] or 'none'} holds ")
        reasons.append(
            f"WHEN {column} IS NOT NULL AND NOT ({fits}) "
            f"THEN {said} || typeof({column}) || ' ' || substr(quote({column}), 1, 60)"
        )
        texts.append(
            f"{_literal(name)}, CASE typeof({column}) WHEN 'blob' THEN hex({column}) ELSE {column} END"
        )
        witness.append(f"{kind.witness} AS {column}")
    wrong = f"CASE {' '.join(reasons)} END"
    inner = (
        f"SELECT {', '.join(columns)}, {wrong} AS why, "
        f"CASE WHEN {wrong} IS NOT NULL THEN json_object({', '.join(texts)}) END "
        f"{query.origin} LIMIT -1 OFFSET {done}"
    )
    # The first row has a reason, so that it is left out; its text is empty.
    return f"SELECT {', '.join(witness)}, '' AS why, '' AS text UNION ALL SELECT * FROM ({inner})"  # noqa: S608 - quoted


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _moved(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return moment


@contextmanager
def read_sqlite(connection: Connection, timeout: timedelta) -> Iterator[SqliteSession]:
    """A read-only transaction on the file that the connection's host names."""
    deadline = Deadline(timeout)
    with translated(connection, ERRORS, _meaning):
        path = local_file(connection, must_exist=True)
        # Not `mode=ro`: a file whose writer was killed has to be rolled back before it can be read.
        opened = sqlite.connect(f"file:{quote(path)}?mode=rw")
        session = SqliteSession(opened, deadline)
        try:
            # A writer in between is waited for.
            session.fetch(f"PRAGMA busy_timeout = {min(int(timeout.total_seconds() * 1000), 2**31 - 1)}")
            session.fetch(_READ_ONLY.format("ON"))
            yield session
        finally:
            if not session.abandoned:
                with suppress(dbapi.Error):
                    opened.rollback()
                opened.close()


def _meaning(error: Exception) -> Meaning:
    text = str(error).lower()
    return meaning_in_process(error, is_locked="database is locked" in text or "busy" in text)
