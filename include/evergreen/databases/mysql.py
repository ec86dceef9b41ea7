"""MySQL and MariaDB by PyMySQL, unbuffered.

Every value arrives as the server's own text of it, and is converted by whole columns: so nothing depends on
what Python's types can hold (a zero date, a time beyond 24 hours, an exact decimal).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pymysql
from pymysql import converters
from pymysql.constants import FIELD_TYPE, FLAG
from pymysql.cursors import Cursor, SSCursor

from evergreen.connections import Connection
from evergreen.databases.adbc import table_names
from evergreen.databases.by_row import converted
from evergreen.databases.database import Bounds, Query, Reject, Session, TableFound
from evergreen.databases.deadline import Deadline
from evergreen.databases.errors import Meaning, translated

CONNECT_SECONDS = 10
BATCH_ROWS = 8192
# With these, texts are escaped as the reader of SQL files expects, and a value that does not fit is an error.
_SQL_MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_ZERO_DATE,NO_ZERO_IN_DATE"
_COLUMNS = """
    SELECT column_name, data_type FROM information_schema.columns
    WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position
"""
_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1"
_LONGEST = 31_536_000  # seconds that the server takes at most
_BYTES = 63  # the character set of what is no text
_UNWELCOME = {1044, 1045, 1049, 1130, 1698}
_LATE = {1317, 1969, 3024}
_PASSING = {1040, 1053, 1205, 1213, 1927, 2002, 2003, 2006, 2013, 2055}

LOCAL, MOMENT = pa.timestamp("us"), pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class _Kind:
    """How a column of a type is read: its Arrow type, and its SQL."""

    arrow: pa.DataType
    sql: str = "{}"


_TEXT = _Kind(pa.string())
_KINDS: dict[str, _Kind] = {
    "TINYINT": _Kind(pa.int16()),
    "TINYINT UNSIGNED": _Kind(pa.int16()),
    "SMALLINT": _Kind(pa.int16()),
    "SMALLINT UNSIGNED": _Kind(pa.int32()),
    "MEDIUMINT": _Kind(pa.int32()),
    "MEDIUMINT UNSIGNED": _Kind(pa.int32()),
    "INT": _Kind(pa.int32()),
    "INT UNSIGNED": _Kind(pa.int64()),
    "BIGINT": _Kind(pa.int64()),
    "BIGINT UNSIGNED": _Kind(pa.int64()),
    "YEAR": _Kind(pa.int16()),
    # As a text a FLOAT has six digits; as a DOUBLE it has all.
    "FLOAT": _Kind(pa.float64(), "({} + 0e0)"),
    "DOUBLE": _Kind(pa.float64()),
    "DECIMAL": _Kind(pa.float64()),
    "BIT": _Kind(pa.int64(), "({} + 0)"),
    "DATE": _Kind(pa.date32()),
    "DATETIME": _Kind(LOCAL),
    "TIMESTAMP": _Kind(MOMENT),
    "TIME": _TEXT,
    "TEXT": _TEXT,
    "BINARY": _Kind(pa.string(), "CONCAT(_utf8mb4 0x5C78, LOWER(HEX({})))"),
    "GEOMETRY": _Kind(pa.string(), "ST_AsText({})"),
    "NULL": _Kind(pa.null()),
}
_NAMES = {
    FIELD_TYPE.TINY: "TINYINT",
    FIELD_TYPE.SHORT: "SMALLINT",
    FIELD_TYPE.INT24: "MEDIUMINT",
    FIELD_TYPE.LONG: "INT",
    FIELD_TYPE.LONGLONG: "BIGINT",
    FIELD_TYPE.YEAR: "YEAR",
    FIELD_TYPE.FLOAT: "FLOAT",
    FIELD_TYPE.DOUBLE: "DOUBLE",
    FIELD_TYPE.DECIMAL: "DECIMAL",
    FIELD_TYPE.NEWDECIMAL: "DECIMAL",
    FIELD_TYPE.BIT: "BIT",
    FIELD_TYPE.DATE: "DATE",
    FIELD_TYPE.NEWDATE: "DATE",
    FIELD_TYPE.DATETIME: "DATETIME",
    FIELD_TYPE.TIMESTAMP: "TIMESTAMP",
    FIELD_TYPE.TIME: "TIME",
    FIELD_TYPE.GEOMETRY: "GEOMETRY",
    FIELD_TYPE.JSON: "TEXT",
    FIELD_TYPE.NULL: "NULL",
}


class MySqlSession(Session):
    """A session that reads; one result at a time."""

    def __init__(self, connection: Any, deadline: Deadline) -> None:
        self.connection = connection
        self.deadline = deadline

    def quoted(self, name: str) -> str:
        """In backticks."""
        return quoted(name)

    def parameter(self, position: int, *, local: bool) -> str:
        """A variable of the session, so that no percent sign of the statement is taken for a parameter."""
        return f"CAST(@evergreen_{position} AS DATETIME(6))"

    def null(self, *, local: bool) -> str:
        """A time that is NULL."""
        return "CAST(NULL AS DATETIME(6))"

    def value(self, moment: datetime) -> str:
        """In the session's zone, which is UTC, or local."""
        return (moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment).isoformat(sep=" ")

    def tables(self) -> list[str]:
        """Tables and views of the connection's database."""
        return [str(row[0]) for row in self.fetch(_TABLES)]

    def table(self, name: str) -> TableFound | None:
        """The table of the connection's database, or `database.table`."""
        for schema, table in table_names(name, self.connection.db.decode() if self.connection.db else ""):
            with closing(self.connection.cursor(Cursor)) as cursor:
                if cursor.execute(_COLUMNS, (schema, table)):
                    found = f"{quoted(schema)}.{quoted(table)}"
                    return TableFound(found, self.described(f"SELECT * FROM {found}"))  # noqa: S608 - quoted
        return None

    def described(self, statement: str) -> dict[str, str]:
        """The columns of a query as the protocol describes them, with no row of it."""
        with closing(self.connection.cursor(Cursor)) as cursor:
            cursor.execute(f"SELECT * FROM ({statement}\n) q LIMIT 0")  # noqa: S608 - the user's own query
            return {_name(field.name): _type_name(field) for field in cursor._result.fields}

    def between(self, name: str, kind: str, bounds: Bounds) -> tuple[str, tuple[Any, ...]] | None:
        """A TIMESTAMP is a moment, a DATETIME and a DATE are local."""
        if kind not in ("TIMESTAMP", "DATETIME", "DATE"):
            return None
        local = kind != "TIMESTAMP"
        moments = (bounds.local_start, bounds.local_end) if local else (bounds.start, bounds.end)
        first, last = (self.parameter(position, local=False) for position in (0, 1))
        column = quoted(name)
        return f"{column} >= {first} AND {column} < {last}", tuple(self.value(moment) for moment in moments)

    def stream(self, query: Query, reject: Reject) -> Generator[Any, None, None]:
        """The result's schema, then its batches; a row with a value that is none of its type is rejected."""
        kinds = {name: _kind(kind, query.types.get(name)) for name, kind in query.columns.items()}
        schema = pa.schema([(name, kind.arrow) for name, kind in kinds.items()])
        columns = ", ".join(
            f"{kind.sql.format(quoted(name))} AS {quoted(name)}" for name, kind in kinds.items()
        )
        yield schema
        self._bind(query.values)
        cursor = self.connection.cursor(SSCursor)
        try:
            cursor.execute(f"SELECT {columns} {query.origin}")
            first = 0
            while rows := cursor.fetchmany(BATCH_ROWS):
                self.deadline.check()
                texts = [pa.array(values, pa.binary()) for values in zip(*rows, strict=True)]
                yield from converted(texts, schema, _column, first, reject)
                first += len(rows)
        except BaseException:
            # The rest of the result would be read before the cursor closes.
            if cursor._result is not None:
                cursor._result.unbuffered_active = False
            cursor.connection = None
            with suppress(pymysql.MySQLError):
                self.connection.close()
            raise

    def fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a small result, numbers as numbers."""
        self._bind(values)
        with closing(self.connection.cursor(Cursor)) as cursor:
            cursor.execute(statement)
            fields = cursor._result.fields or []
            numbers = [_type_name(field).split()[0] in WHOLE for field in fields]
            return [
                tuple(
                    None if value is None else int(value) if whole else value.decode()
                    for value, whole in zip(row, numbers, strict=True)
                )
                for row in cursor.fetchall()
            ]

    def _bind(self, values: Sequence[Any]) -> None:
        if values:
            names = ", ".join(f"@evergreen_{position} = %s" for position in range(len(values)))
            with closing(self.connection.cursor(Cursor)) as cursor:
                cursor.execute(f"SET {names}", tuple(values))


WHOLE = ("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT")


def quoted(name: str) -> str:
    """An identifier in backticks."""
    return "`" + name.replace("`", "``") + "`"


def _name(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _type_name(field: Any) -> str:
    name = _NAMES.get(field.type_code)
    if name is None:
        return "BINARY" if field.charsetnr == _BYTES else "TEXT"
    return f"{name} UNSIGNED" if field.flags & FLAG.UNSIGNED and f"{name} UNSIGNED" in _KINDS else name


def _kind(name: str, declared: str | None) -> _Kind:
    kind = _KINDS[name]
    exact = declared is not None and (declared == "int" or declared.startswith("decimal"))
    if declared == "text" or (exact and name in ("DECIMAL", "BIGINT UNSIGNED")):
        return _Kind(pa.string(), kind.sql)
    return kind


def _column(values: pa.Array, kind: pa.DataType) -> pa.Array:
    texts = values.cast(pa.string())
    if kind == MOMENT:
        return texts.cast(LOCAL).cast(MOMENT)
    return texts if kind == texts.type else texts.cast(kind)


@contextmanager
def read_mysql(connection: Connection, timeout: timedelta) -> Iterator[MySqlSession]:
    """A read-only transaction that sees one state of the database; its session is in UTC."""
    deadline = Deadline(timeout)
    with translated(connection, (pymysql.MySQLError,), meaning):
        session = opened(connection, deadline, conv=converters.encoders, use_unicode=False)
        try:
            _limit(session, timeout)
            # A reader may pause for longer than the minute that the server waits by default.
            run(
                session,
                f"SET SESSION net_write_timeout = {min(math.ceil(timeout.total_seconds()) + 60, 31536000)}",
            )
            run(session, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            run(session, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            yield MySqlSession(session, deadline)
        finally:
            with suppress(pymysql.MySQLError):
                session.close()


def opened(connection: Connection, deadline: Deadline, **options: Any) -> Any:
    """A connection in UTC, whose texts are UTF-8 and whose statements are checked strictly."""
    extra = connection.extra
    return pymysql.connect(
        host=connection.host or "localhost",
        port=connection.port or 3306,
        user=connection.login,
        password=connection.password or "",
        database=connection.schema,
        unix_socket=extra.get("unix_socket"),
        ssl=extra.get("ssl"),
        charset="utf8mb4",
        sql_mode=_SQL_MODE,
        init_command="SET time_zone = '+00:00'",
        autocommit=False,
        connect_timeout=CONNECT_SECONDS,
        # The server ends a statement that is late; this is for a server that has vanished.
        read_timeout=math.ceil(deadline.left) + CONNECT_SECONDS,
        **options,
    )


def _limit(session: Any, timeout: timedelta) -> None:
    seconds = max(timeout.total_seconds(), 0.001)
    if "MariaDB" in session.get_server_info():
        run(session, f"SET SESSION max_statement_time = {seconds}")
    else:
        run(session, f"SET SESSION max_execution_time = {int(seconds * 1000)}")


def run(session: Any, statement: str) -> None:
    """A statement without a result."""
    with closing(session.cursor(Cursor)) as cursor:
        cursor.execute(statement)


def meaning(error: Exception) -> Meaning:
    """What an error of the server says by its number."""
    code = error.args[0] if error.args else None
    if code in _UNWELCOME:
        return Meaning.UNWELCOME
    if code in _LATE:
        return Meaning.LATE
    return Meaning.UNAVAILABLE if code in _PASSING else Meaning.WRONG
