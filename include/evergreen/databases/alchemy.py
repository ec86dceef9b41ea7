"""Databases by a dialect of SQLAlchemy, with cursors of the server.

Rows come as Python values, of many rows at a time, and are converted by whole columns.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import sqlalchemy
from sqlalchemy import types
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from evergreen.connections import Connection
from evergreen.databases.adbc import table_names
from evergreen.databases.by_row import converted
from evergreen.databases.database import Bounds, Query, Reject, Session, TableFound
from evergreen.databases.deadline import Deadline
from evergreen.databases.errors import Meaning, translated
from evergreen.errors import SourceError

_BATCH_ROWS = 8192
_LOCAL, _MOMENT = pa.timestamp("us"), pa.timestamp("us", tz="UTC")
_UNKNOWN = "unknown"
# The first that a type is one of. What is in none is a text.
_KINDS: tuple[tuple[type[types.TypeEngine[Any]], str, pa.DataType], ...] = (
    (types.Boolean, "boolean", pa.bool_()),
    (types.Integer, "integer", pa.int64()),
    (types.Float, "float", pa.float64()),
    (types.Numeric, "numeric", pa.float64()),
    (types.DateTime, "datetime", _LOCAL),
    (types.Date, "date", pa.date32()),
    (types.Time, "time", pa.string()),
    (types.LargeBinary, "binary", pa.string()),
)
_ARROW = {**{name: arrow for _, name, arrow in _KINDS}, "moment": _MOMENT, "text": pa.string()}
_DECLARED = {
    "float": pa.float64(),
    "boolean": pa.bool_(),
}

Address = Callable[[Connection], sqlalchemy.URL]
"""The address of a connection, as SQLAlchemy writes it."""


class AlchemySession(Session):
    """A session on a connection of SQLAlchemy."""

    def __init__(self, connection: sqlalchemy.Connection, deadline: Deadline) -> None:
        self.connection = connection
        self.deadline = deadline
        self._types: dict[str, types.TypeEngine[Any]] = {}

    def quoted(self, name: str) -> str:
        """As the dialect quotes."""
        return self.connection.dialect.identifier_preparer.quote_identifier(name)

    def tables(self) -> list[str]:
        """Tables and views of the connection's schema."""
        found = sqlalchemy.inspect(self.connection)
        return sorted([*found.get_table_names(), *found.get_view_names()])

    def table(self, name: str) -> TableFound | None:
        """The table of the connection's schema, or `schema.table`."""
        found = sqlalchemy.inspect(self.connection)
        for schema, table in table_names(name, ""):
            if not (found.has_table(table, schema or None) or table in found.get_view_names(schema or None)):
                continue
            columns = found.get_columns(table, schema or None)
            sql = ".".join(self.quoted(part) for part in (schema, table) if part)
            self._types = {column["name"]: column["type"] for column in columns}
            return TableFound(sql, {column["name"]: _kind(column["type"]) for column in columns})
        return None

    def described(self, statement: str) -> dict[str, str]:
        """The columns of a query of which no row is asked for; drivers do not agree on how to say a type."""
        result = self.connection.execute(_text(f"SELECT * FROM ({statement}\n) q WHERE 1 = 0"))  # noqa: S608
        names = list(result.keys())
        result.close()
        return dict.fromkeys(names, _UNKNOWN)

    def parameter(self, position: int, *, local: bool) -> str:
        """A named parameter, which the dialect writes in its own way."""
        return f"\0p{position}\0"

    def value(self, moment: datetime) -> datetime:
        """As a moment in UTC, or a local time."""
        return moment.astimezone(UTC) if moment.tzinfo else moment

    def between(self, name: str, kind: str, bounds: Bounds) -> tuple[str, tuple[Any, ...]] | None:
        """A time without a zone is local, and so is a day."""
        if kind not in ("datetime", "date", "moment"):
            return None
        local = kind != "moment"
        first, last = (self.parameter(position, local=local) for position in (0, 1))
        column = self.quoted(name)
        values = (bounds.local_start, bounds.local_end) if local else (bounds.start, bounds.end)
        if kind == "date":
            return f"{column} >= {first} AND {column} < {last}", bounds.days
        return f"{column} >= {first} AND {column} < {last}", values

    def stream(self, query: Query, reject: Reject) -> Generator[Any, None, None]:
        """The result's schema, then its batches; a row with a value that is none of its type is rejected."""
        arrow = {name: _arrow(name, kind, query.types.get(name)) for name, kind in query.columns.items()}
        schema = pa.schema(list(arrow.items()))
        yield schema
        columns = ", ".join(self.quoted(name) for name in query.columns)
        streamed = self.connection.execution_options(stream_results=True, max_row_buffer=_BATCH_ROWS)
        with self.deadline.cancelling(self._cancel):
            statement = _text(f"SELECT {columns} {query.origin}")
            result = streamed.execute(self._typed(statement, query), _named(query.values))
        try:
            first = 0
            while True:
                with self.deadline.cancelling(self._cancel):
                    rows = result.fetchmany(_BATCH_ROWS)
                if not rows:
                    return
                yield from converted(list(zip(*rows, strict=True)), schema, _column, first, reject)
                first += len(rows)
        finally:
            result.close()

    def fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a small result."""
        with self.deadline.cancelling(self._cancel):
            result = self.connection.execute(_text(statement), _named(values))
            return [tuple(row) for row in result.fetchall()] if result.returns_rows else []

    def _typed(self, statement: sqlalchemy.TextClause, query: Query) -> sqlalchemy.Executable:
        """The statement with the types of its columns, by which the dialect makes values of what it gets."""
        if not set(query.columns) <= set(self._types):
            return statement
        return statement.columns(*(sqlalchemy.column(name, self._types[name]) for name in query.columns))

    def _cancel(self) -> None:
        # A call that DB-API does not have; those that have none end with their connection.
        driver: Any = self.connection.connection.dbapi_connection
        end = getattr(driver, "interrupt", None) or getattr(driver, "cancel", None) or driver.close
        end()


def _text(statement: str) -> sqlalchemy.TextClause:
    """A statement in which a colon is no parameter, but what `parameter` wrote is."""
    parts = statement.replace(":", "\\:").split("\0")
    return sqlalchemy.text("".join(f":{part}" if at % 2 else part for at, part in enumerate(parts)))


def _named(values: Sequence[Any]) -> dict[str, Any]:
    return {f"p{position}": value for position, value in enumerate(values)}


def _kind(kind: types.TypeEngine[Any]) -> str:
    if isinstance(kind, types.DateTime) and (kind.timezone or "TIMEZONE" in repr(kind).upper()):
        return "moment"
    return next((name for each, name, _ in _KINDS if isinstance(kind, each)), "text")


def _arrow(name: str, kind: str, declared: str | None) -> pa.DataType:
    if kind == _UNKNOWN:
        if declared is None:
            raise SourceError(
                f"column '{name}' of the query: the driver does not say its type: declare it under the "
                "source's types in pipeline.yaml"
            )
        return _DECLARED.get(declared, pa.string())
    exact = declared is not None and (declared in ("int", "text") or declared.startswith("decimal"))
    return pa.string() if exact and (kind == "numeric" or declared == "text") else _ARROW[kind]


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array([_as_text(value) for value in values], kind)
    if pa.types.is_floating(kind):
        return pa.array([None if value is None else float(value) for value in values], kind)
    if pa.types.is_boolean(kind):
        return pa.array([_truth(value) for value in values], kind)
    return pa.array(values, kind)


def _truth(value: Any) -> bool | None:
    if value is not None and value not in (0, 1):
        raise ValueError(f"{value!r} is neither true nor false")
    return None if value is None else bool(value)


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"\\x{bytes(value).hex()}"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def address(drivername: str, query: Mapping[str, str] | None = None, database: str | None = None) -> Address:
    """The address by the connection's own fields. `database` names the field of the extra that has it."""

    def made(connection: Connection) -> sqlalchemy.URL:
        extra = connection.extra
        named = extra.get(database) if database else None
        return sqlalchemy.URL.create(
            drivername,
            connection.login,
            connection.password,
            connection.host,
            connection.port,
            str(named) if named else connection.schema,
            {**(query or {}), **{str(name): str(value) for name, value in extra.get("query", {}).items()}},
        )

    return made


def reader(of: Address) -> Callable[[Connection, timedelta], AbstractContextManager[AlchemySession]]:
    """An opener of sessions in a transaction that is rolled back at its end."""

    @contextmanager
    def opened(connection: Connection, timeout: timedelta) -> Iterator[AlchemySession]:
        deadline = Deadline(timeout)
        with translated(connection, (SQLAlchemyError,), _meaning):
            engine = sqlalchemy.create_engine(
                of(connection), poolclass=sqlalchemy.NullPool, hide_parameters=True
            )
            try:
                with engine.connect() as found:
                    yield AlchemySession(found, deadline)
            finally:
                engine.dispose()

    return opened


def _meaning(error: Exception) -> Meaning:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Meaning.UNAVAILABLE
    return Meaning.UNAVAILABLE if isinstance(error, OperationalError) else Meaning.WRONG


read_mssql = reader(address("mssql+pymssql"))
read_oracle = reader(address("oracle+oracledb", database="service_name"))
read_trino = reader(address("trino", database="catalog"))
read_clickhouse = reader(address("clickhousedb"))
