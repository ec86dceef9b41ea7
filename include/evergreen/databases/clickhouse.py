"""ClickHouse by its own client, which streams Arrow batches.

The client's DB-API, and so its dialect of SQLAlchemy, holds a whole result in memory.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pyarrow as pa
from urllib3.exceptions import HTTPError

from evergreen.connections import Connection
from evergreen.databases.adbc import table_names
from evergreen.databases.database import Bounds, Query, Reject, Session, TableFound
from evergreen.databases.deadline import Deadline
from evergreen.databases.errors import Meaning, TimedOutError, translated

_T = TypeVar("_T")
_CONNECT_SECONDS = 10
_CLOSING = timedelta(seconds=10)
_TABLES = "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name"
_TABLE = """
    SELECT count() FROM system.tables
    WHERE database = if({p0:String} = '', currentDatabase(), {p0:String}) AND name = {p1:String}
"""
_MOMENT = pa.timestamp("us", tz="UTC")
_FIXED = re.compile(r"Setting \w+ is readonly")  # by the client, of a login that may change no setting
_CODE = re.compile(r"Code: (\d+)")
_UNWELCOME = {81, 192, 193, 194, 516}
_LATE = {159, 160, 394}
_PASSING = {202, 209, 210, 236, 241, 242, 252, 279, 286, 319, 425, 999}


@dataclass(frozen=True)
class _Kind:
    """How a column of a type is read: its Arrow type, and its SQL."""

    arrow: pa.DataType
    sql: str = "{}"
    is_exact: bool = True


_TEXT = _Kind(pa.string(), "toString({})")
_MOMENT_TEXT = _Kind(pa.string(), "concat(toString(toTimeZone({}, 'UTC')), '+00:00')")
_NESTED = _Kind(pa.string(), "toJSONString({})")
_LARGE = _Kind(pa.float64(), "toFloat64({})", is_exact=False)
_KINDS: dict[str, _Kind] = {
    "Bool": _Kind(pa.bool_()),
    "Int8": _Kind(pa.int8()),
    "Int16": _Kind(pa.int16()),
    "Int32": _Kind(pa.int32()),
    "Int64": _Kind(pa.int64()),
    "UInt8": _Kind(pa.int16(), "toInt16({})"),
    "UInt16": _Kind(pa.int32(), "toInt32({})"),
    "UInt32": _Kind(pa.int64(), "toInt64({})"),
    "UInt64": _Kind(pa.uint64()),
    "Int128": _LARGE,
    "Int256": _LARGE,
    "UInt128": _LARGE,
    "UInt256": _LARGE,
    "Decimal": _LARGE,
    "Float32": _Kind(pa.float32()),
    "Float64": _Kind(pa.float64()),
    "BFloat16": _Kind(pa.float32(), "toFloat32({})"),
    "String": _Kind(pa.string()),
    "FixedString": _Kind(pa.string(), "toStringCutToZero({})"),
    "Date": _Kind(pa.date32()),
    "Date32": _Kind(pa.date32()),
    # A moment, whatever zone it is shown in.
    "DateTime": _Kind(_MOMENT, "toDateTime64({}, 6, 'UTC')"),
    "DateTime64": _Kind(_MOMENT, "toTimeZone({}, 'UTC')"),
    "Array": _NESTED,
    "Tuple": _NESTED,
    "Map": _NESTED,
    "Nested": _NESTED,
    "JSON": _NESTED,
    "Object": _NESTED,
    "Variant": _NESTED,
    "Dynamic": _NESTED,
    "Nothing": _Kind(pa.string(), "CAST({} AS Nullable(String))"),
}


class ClickHouseSession(Session):
    """A session by a client of `clickhouse_connect`."""

    def __init__(self, client: Any, deadline: Deadline) -> None:
        self.client = client
        self.deadline = deadline

    def quoted(self, name: str) -> str:
        """In backticks."""
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"

    def tables(self) -> list[str]:
        """Tables and views of the connection's database."""
        return [name for (name,) in self.fetch(_TABLES)]

    def table(self, name: str) -> TableFound | None:
        """The table of the connection's database, or `database.table`."""
        for schema, table in table_names(name, ""):
            if self.fetch(_TABLE, [schema, table]) != [(0,)]:
                sql = ".".join(self.quoted(part) for part in (schema, table) if part)
                return TableFound(sql, self._columns(f"DESCRIBE TABLE {sql}"))
        return None

    def described(self, statement: str) -> dict[str, str]:
        """The columns of a query, which is not run."""
        return self._columns(f"DESCRIBE ({statement}\n)")

    def _columns(self, statement: str) -> dict[str, str]:
        return {name: kind for name, kind, *_ in self.fetch(statement)}

    def parameter(self, position: int, *, local: bool) -> str:
        """A parameter of the server, with its type. Without a zone a time is of the session's, UTC."""
        return f"{{p{position}:DateTime64(6, 'UTC')}}"

    def null(self, *, local: bool) -> str:
        """A NULL of the parameter's type, by which expressions with it are described."""
        return "CAST(NULL AS Nullable(DateTime64(6, 'UTC')))"

    def value(self, moment: datetime) -> str:
        """As a text."""
        plain = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        return plain.isoformat(sep=" ", timespec="microseconds")

    def between(self, name: str, kind: str, bounds: Bounds) -> tuple[str, tuple[Any, ...]] | None:
        """A time is a moment; a day is local."""
        base, column = _base(kind), self.quoted(name)
        if base in ("DateTime", "DateTime64"):
            first, last = (self.parameter(position, local=False) for position in (0, 1))
            return (
                f"{column} >= {first} AND {column} < {last}",
                (self.value(bounds.start), self.value(bounds.end)),
            )
        if base in ("Date", "Date32"):
            # The days whose first moment lies in the bounds.
            day = timedelta(days=1) - timedelta(microseconds=1)
            days = tuple((each + day).date().isoformat() for each in (bounds.local_start, bounds.local_end))
            return f"{column} >= {{p0:Date32}} AND {column} < {{p1:Date32}}", days
        return None

    def declared(self, kind: str) -> str | None:
        """A UInt64 is a whole number; a row with one that is larger than an int64 is rejected."""
        return "int" if _base(kind) == "UInt64" else None

    def stream(self, query: Query, reject: Reject) -> Generator[Any, None, None]:
        """The result's schema, then its batches."""
        kinds = {name: _kind(kind, query.types.get(name)) for name, kind in query.columns.items()}
        yield pa.schema([(name, kind.arrow) for name, kind in kinds.items()])
        columns = ", ".join(_selected(self.quoted(name), kind) for name, kind in kinds.items())
        opened = self._within(
            lambda: self.client.query_arrow_stream(
                f"SELECT {columns} {query.origin}",
                parameters=_named(query.values),
                use_strings=True,
            )
        )
        with opened as batches:
            while (batch := self._within(lambda: next(batches, None))) is not None:
                yield batch

    def fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a small result."""
        return self._within(
            lambda: [
                tuple(row) for row in self.client.query(statement, parameters=_named(values)).result_rows
            ]
        )

    def _within(self, step: Callable[[], _T]) -> _T:
        # The server ends the statement by itself, at `max_execution_time`.
        return self.deadline.abandoning(step)


def _named(values: Sequence[Any]) -> dict[str, Any] | None:
    return {f"p{position}": value for position, value in enumerate(values)} or None


def _kind(kind: str, declared: str | None) -> _Kind:
    """How a column is read: as a text where that is exact and what Arrow has is not."""
    plain = _unwrapped(kind)
    if declared == "text":
        return _as_text(_base(plain))
    if plain.startswith("Array("):
        return _array(plain)
    found = _KINDS.get(_base(plain), _TEXT)
    exact = declared is not None and (declared == "int" or declared.startswith("decimal"))
    return _TEXT if exact and not found.is_exact else found


def _as_text(base: str) -> _Kind:
    found = _KINDS.get(base, _TEXT)
    if found.arrow == _MOMENT:
        return _MOMENT_TEXT
    return found if found.arrow == pa.string() else _TEXT


def _array(kind: str) -> _Kind:
    """A list of simple values; of any other a JSON text."""
    element = kind.removeprefix("Array(").removesuffix(")")
    inner = _kind(element, None)
    if inner is _NESTED or _unwrapped(element).startswith("Array("):
        return _NESTED
    sql = "{}" if inner.sql == "{}" else f"arrayMap(x -> {inner.sql.format('x')}, {{}})"
    return _Kind(pa.list_(inner.arrow), sql)


def _selected(column: str, kind: _Kind) -> str:
    return f"{kind.sql.format(column)} AS {column}"


def _unwrapped(kind: str) -> str:
    """A type without what says that it may be null, or how it is stored."""
    while found := re.fullmatch(r"(?:Nullable|LowCardinality|SimpleAggregateFunction\(\w+,)\(?(.*)\)", kind):
        kind = found[1].strip()
    return kind


def _base(kind: str) -> str:
    return re.split(r"[( ]", _unwrapped(kind), maxsplit=1)[0]


def client_options(connection: Connection, seconds: int) -> dict[str, Any]:
    """What the client is opened with; the extra's `secure` asks for TLS. The session only reads."""
    extra = connection.extra
    return {
        "host": connection.host or "localhost",
        "port": connection.port,
        "username": connection.login,
        "password": connection.password or "",
        "database": connection.schema,
        "secure": bool(extra.get("secure")),
        **{name: extra[name] for name in ("verify", "ca_cert") if name in extra},
        "connect_timeout": min(seconds, _CONNECT_SECONDS),
        "send_receive_timeout": seconds,
        "query_retries": 0,
        "settings": {
            "readonly": 2,
            "session_timezone": "UTC",
            "max_execution_time": seconds,
            "cancel_http_readonly_queries_on_client_close": 1,
        },
    }


def reader(
    options: Callable[[Connection, int], Mapping[str, Any]],
) -> Callable[[Connection, timedelta], AbstractContextManager[ClickHouseSession]]:
    """An opener of sessions that only read."""

    @contextmanager
    def opened(connection: Connection, timeout: timedelta) -> Iterator[ClickHouseSession]:
        deadline = Deadline(timeout)
        driver = importlib.import_module("clickhouse_connect")
        errors = importlib.import_module("clickhouse_connect.driver.exceptions").Error
        given = options(connection, math.ceil(timeout.total_seconds()))
        with translated(connection, (errors, HTTPError, OSError, pa.ArrowException), _meaning, _text):
            client = deadline.abandoning(lambda: driver.get_client(**given))
            try:
                yield ClickHouseSession(client, deadline)
            finally:
                with suppress(TimedOutError):
                    Deadline(_CLOSING).abandoning(client.close)

    return opened


def _text(error: Exception) -> str:
    if _FIXED.fullmatch(str(error)):
        return (
            "its login has readonly=1 and may not set how long a statement takes, nor the zone of times: "
            "give it readonly=2, with which it cannot write either"
        )
    return str(error)


def _meaning(error: Exception) -> Meaning:
    if found := _CODE.search(str(error)):
        code = int(found[1])
        for codes, meaning in (
            (_UNWELCOME, Meaning.UNWELCOME),
            (_LATE, Meaning.LATE),
            (_PASSING, Meaning.UNAVAILABLE),
        ):
            if code in codes:
                return meaning
        return Meaning.WRONG
    is_cut = isinstance(error, HTTPError | OSError) or type(error).__name__ in (
        "OperationalError",
        "StreamFailureError",
    )
    return Meaning.UNAVAILABLE if is_cut else Meaning.WRONG


read_clickhouse = reader(client_options)
