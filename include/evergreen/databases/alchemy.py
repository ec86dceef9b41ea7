"""Databases by a dialect of SQLAlchemy, with cursors of the server.

Rows come as Python values, of many rows at a time, and are converted by whole columns.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

import pyarrow as pa
import sqlalchemy
from sqlalchemy import types
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from evergreen.connections import Connection
from evergreen.databases.adbc import table_names
from evergreen.databases.by_row import converted
from evergreen.databases.database import Bounds, Query, Reject, Session, TableFound
from evergreen.databases.deadline import Deadline
from evergreen.databases.errors import Meaning, TimedOutError, translated
from evergreen.errors import SourceError

_T = TypeVar("_T")
_BATCH_ROWS = 8192
_CLOSING = timedelta(seconds=10)
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
# Types of moments that do not say so: Oracle's and SQL Server's.
_MOMENTS = re.compile("local_timezone|DATETIMEOFFSET")
_ARROW = {**{name: arrow for _, name, arrow in _KINDS}, "moment": _MOMENT, "text": pa.string()}
_DECLARED = {
    "float": pa.float64(),
    "boolean": pa.bool_(),
}

# Wrong login or database, by the numbers of SQL Server and Oracle and by HTTP's status.
_UNWELCOME = re.compile(
    r"\((18456|18452|4060|40615)\b|ORA-(01017|01045|12505|12514|28000|28001)|DPY-4001|error 40[13]\b"
)
# SQL Server's and its library's, which calls errors of any kind operational.
_PASSING = {1204, 1205, 1222, 3960, 10928, 10929, 40197, 40501, 40613, *range(20000, 21000)}


@dataclass(frozen=True)
class _Sql:
    """How a dialect writes a parameter that is a local time or a moment, and a column's moment in UTC."""

    local: str = "{}"
    moment: str = "{}"
    utc: str = "{}"


_SQL = {
    # Its driver binds times as DATE, without a zone, and leaves the zone out of what it reads.
    "oracle": _Sql(moment="FROM_TZ(CAST({} AS TIMESTAMP), 'UTC')", utc="SYS_EXTRACT_UTC({})"),
    # Its driver writes times as text, which a `datetime` reads by the login's language.
    "mssql": _Sql("CAST({} AS datetime2)", "CAST({} AS datetimeoffset)"),
}

Address = Callable[[Connection], sqlalchemy.URL]
"""The address of a connection, as SQLAlchemy writes it."""
Arguments = Callable[[Connection, int], Mapping[str, Any]]
"""What a driver is told besides, by the connection and the timeout in seconds."""


class AlchemySession(Session):
    """A session on a connection of SQLAlchemy."""

    def __init__(self, connection: sqlalchemy.Connection, deadline: Deadline) -> None:
        self.connection = connection
        self.deadline = deadline
        self._sql = _SQL.get(connection.dialect.name, _Sql())
        self._is_abandoned = False
        self._types: dict[str, types.TypeEngine[Any]] = {}

    def close(self) -> None:
        """Roll back and close. A connection that a thread still waits for is left to that thread."""
        if not self._is_abandoned:
            with suppress(TimedOutError, SQLAlchemyError):
                Deadline(_CLOSING).abandoning(self.connection.close)

    def quoted(self, name: str) -> str:
        """As the dialect quotes, in the letters that the catalogue has: those of Oracle are capitals."""
        dialect = self.connection.dialect
        own = dialect.denormalize_name(name) if dialect.requires_name_normalize else name
        return dialect.identifier_preparer.quote_identifier(own)

    def tables(self) -> list[str]:
        """Tables and views of the connection's schema."""

        def names() -> list[str]:
            found = sqlalchemy.inspect(self.connection)
            return sorted({*found.get_table_names(), *found.get_view_names()})

        return self._within(names)

    def table(self, name: str) -> TableFound | None:
        """The table of the connection's schema, or `schema.table`."""
        return self._within(lambda: self._table(name))

    def _table(self, name: str) -> TableFound | None:
        found = sqlalchemy.inspect(self.connection)
        for schema, table in table_names(name, ""):
            if not (found.has_table(table, schema or None) or table in found.get_view_names(schema or None)):
                continue
            columns = found.get_columns(table, schema or None)
            sql = ".".join(self.quoted(part) for part in (schema, table) if part)
            self._types = {column["name"]: column["type"] for column in columns}
            return TableFound(sql, {column["name"]: kind_of(column["type"]) for column in columns})
        return None

    def described(self, statement: str) -> dict[str, str]:
        """The columns of a query of which no row is asked for; drivers do not agree on how to say a type."""
        empty = as_text_clause(f"SELECT * FROM ({statement}\n) q WHERE 1 = 0")  # noqa: S608 - the user's own query

        def names() -> list[str]:
            with closing(self.connection.execute(empty)) as result:
                return list(result.keys())

        return dict.fromkeys(self._within(names), _UNKNOWN)

    def parameter(self, position: int, *, local: bool) -> str:
        """A named parameter, which the dialect writes in its own way."""
        return (self._sql.local if local else self._sql.moment).format(f"\0p{position}\0")

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
        columns = ", ".join(self.selected(name, kind) for name, kind in query.columns.items())
        streamed = self.connection.execution_options(stream_results=True, max_row_buffer=_BATCH_ROWS)
        statement = self._typed(as_text_clause(f"SELECT {columns} {query.origin}"), query)
        result = self._within(lambda: streamed.execute(statement, _named(query.values)))
        first = 0
        try:
            while rows := self._within(lambda: result.fetchmany(_BATCH_ROWS)):
                yield from converted(list(zip(*rows, strict=True)), schema, _column, first, reject)
                first += len(rows)
        finally:
            if not self._is_abandoned:
                result.close()

    def selected(self, name: str, kind: str) -> str:
        """The column's SQL; a moment is in UTC where the driver reads no zone."""
        column = self.quoted(name)
        if kind != "moment" or self._sql.utc == "{}":
            return column
        return f"{self._sql.utc.format(column)} AS {column}"

    def fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a small result."""

        def rows() -> list[tuple[Any, ...]]:
            result = self.connection.execute(as_text_clause(statement), _named(values))
            return [tuple(row) for row in result.fetchall()] if result.returns_rows else []

        return self._within(rows)

    def _typed(self, statement: sqlalchemy.TextClause, query: Query) -> sqlalchemy.Executable:
        """The statement with the types of its columns, by which the dialect makes values of what it gets."""
        if not set(query.columns) <= set(self._types):
            return statement
        return statement.columns(*(sqlalchemy.column(name, self._types[name]) for name in query.columns))

    def _within(self, step: Callable[[], _T]) -> _T:
        """The result of `step`, which is cancelled at the deadline where the driver can be."""
        try:
            return self.deadline.abandoning(step)
        except TimedOutError:
            self._is_abandoned = True
            # DB-API has no call for it. To close a connection that is in use is not safe with every driver.
            driver: Any = self.connection.connection.dbapi_connection
            if cancel := getattr(driver, "interrupt", None) or getattr(driver, "cancel", None):
                cancel()
            raise


def as_text_clause(statement: str) -> sqlalchemy.TextClause:
    """A statement in which a colon is no parameter, but what `parameter` wrote is."""
    parts = statement.replace(":", "\\:").split("\0")
    return sqlalchemy.text("".join(f":{part}" if at % 2 else part for at, part in enumerate(parts)))


def _named(values: Sequence[Any]) -> dict[str, Any]:
    return {f"p{position}": value for position, value in enumerate(values)}


def kind_of(kind: types.TypeEngine[Any]) -> str:
    """What Evergreen calls a type: `moment`, `datetime`, `numeric` ..., or `text`."""
    if isinstance(kind, types.DateTime) and (kind.timezone or _MOMENTS.search(repr(kind))):
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
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=_as_text)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _url(drivername: str, connection: Connection, database: str | None, **query: str) -> sqlalchemy.URL:
    """The address by the connection's own fields, and the driver's own in the extra's `query`."""
    own = {str(name): str(value) for name, value in connection.extra.get("query", {}).items()}
    login, place = (connection.login, connection.password), (connection.host, connection.port)
    return sqlalchemy.URL.create(drivername, *login, *place, database, {**query, **own})


def mssql_address(connection: Connection) -> sqlalchemy.URL:
    """SQL Server: the schema is the database."""
    return _url("mssql+pymssql", connection, connection.schema)


def oracle_address(connection: Connection) -> sqlalchemy.URL:
    """Oracle: the service is the extra's `service_name` or the schema, unless the extra has a `sid`."""
    if sid := connection.extra.get("sid"):
        return _url("oracle+oracledb", connection, str(sid))
    service = connection.extra.get("service_name") or connection.schema
    return _url("oracle+oracledb", connection, None, **({"service_name": str(service)} if service else {}))


def trino_address(connection: Connection) -> sqlalchemy.URL:
    """Trino: the catalogue is the extra's `catalog`, and the schema is one of that catalogue's."""
    parts = [part for part in (connection.extra.get("catalog"), connection.schema) if part]
    return _url("trino", connection, "/".join(quote(str(part), safe="") for part in parts) or None)


def mssql_arguments(_: Connection, seconds: int) -> dict[str, Any]:
    """SQL Server: the driver's own limits, in seconds, to connect and for a statement."""
    return {"timeout": seconds, "login_timeout": seconds}


def trino_arguments(connection: Connection, seconds: int) -> dict[str, Any]:
    """Trino: the scheme, which the extra's `protocol` may name, and the limits of a request and a query."""
    found: dict[str, Any] = {"request_timeout": seconds}
    # The driver refuses to send a password without TLS.
    if scheme := connection.extra.get("protocol") or ("https" if connection.password else None):
        found["http_scheme"] = scheme
    if "session_properties" not in connection.extra.get("query", {}):
        # The driver cannot cancel, so the server does.
        found["session_properties"] = {"query_max_run_time": f"{seconds}s"}
    return found


def reader(
    of: Address, arguments: Arguments = lambda connection, seconds: {}
) -> Callable[[Connection, timedelta], AbstractContextManager[AlchemySession]]:
    """An opener of sessions in a transaction that is rolled back at its end."""

    @contextmanager
    def opened(connection: Connection, timeout: timedelta) -> Iterator[AlchemySession]:
        deadline = Deadline(timeout)
        with told(connection):
            engine = _engine(of(connection), arguments(connection, math.ceil(timeout.total_seconds())))
            session = AlchemySession(deadline.abandoning(engine.connect), deadline)
            try:
                yield session
            finally:
                session.close()

    return opened


def _engine(address: sqlalchemy.URL, arguments: Mapping[str, Any]) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(
        address, poolclass=sqlalchemy.NullPool, hide_parameters=True, connect_args=dict(arguments)
    )


def told(connection: Connection) -> AbstractContextManager[None]:
    """The errors of SQLAlchemy and its drivers, some of which raise their own of the network, translated."""
    return translated(connection, (SQLAlchemyError, OSError), _meaning, _text_of)


def _text_of(error: Exception) -> str:
    """The driver's own text, without the statement, which SQLAlchemy repeats."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return str(error)
    number, text = _numbered(error)
    return f"{number}: {text}" if number else str(error.orig)


def _numbered(error: DBAPIError) -> tuple[int, str]:
    """Number and text of an error of SQL Server's driver, which nests them; 0 of the others."""
    found: tuple[Any, ...] = getattr(error.orig, "args", ())
    found = found[0] if len(found) == 1 and isinstance(found[0], tuple) else found
    if len(found) != 2 or not isinstance(found[0], int):
        return 0, ""
    text = found[1].decode("utf-8", "replace") if isinstance(found[1], bytes) else str(found[1])
    return found[0], text


def _meaning(error: Exception) -> Meaning:
    text = str(error)
    if _UNWELCOME.search(text):
        return Meaning.UNWELCOME
    if not isinstance(error, DBAPIError):
        return Meaning.UNAVAILABLE if isinstance(error, OSError) else Meaning.WRONG
    if error.connection_invalidated:
        return Meaning.UNAVAILABLE
    if number := _numbered(error)[0]:
        return Meaning.UNAVAILABLE if number in _PASSING else Meaning.WRONG
    return Meaning.UNAVAILABLE if isinstance(error, OperationalError) else Meaning.WRONG


read_mssql = reader(mssql_address, mssql_arguments)
read_oracle = reader(oracle_address)
read_trino = reader(trino_address, trino_arguments)
