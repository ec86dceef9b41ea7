"""Sessions with PostgreSQL: how one is opened, how names are quoted, and what its errors mean to a user."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from adbc_driver_manager import dbapi as adbc
from adbc_driver_postgresql import dbapi

from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 600

_DATABASES: dict[str, dbapi.Connection] = {}
_OPENING = threading.Lock()

# What libpq says, without a SQLSTATE, when the server is there and will not have us.
_UNWELCOME = ("authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry")
# SQLSTATE classes of a server that may well answer a later attempt: connection, transaction rollback,
# resources, operator intervention (a statement time-out is one), system.
_PASSING = ("08", "40", "53", "57", "58")


@contextmanager
def transaction(connection: Connection, read_only: bool = False) -> Iterator[Any]:
    """A cursor in one transaction, committed at the end and rolled back by an error.

    Times are in UTC and a statement takes 10 minutes at most; a read-only transaction sees one state of the
    database throughout. Raises `UnavailableError` where the server cannot be reached or is out of breath,
    `SourceError` where it refuses. No message holds the password.
    """
    with (
        _errors(connection),
        _database(conninfo(connection)).adbc_clone() as session,
        session.cursor() as cursor,
    ):
        if read_only:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'")
        # A column without a zone is compared to bounds as UTC.
        cursor.execute("SET LOCAL timezone = 'UTC'")
        yield cursor
        session.commit()


def _database(address: str) -> dbapi.Connection:
    """A connection kept only to make others from, in a fifth of the time and a sixtieth of the work.

    The driver reads PostgreSQL's types once for all connections that are cloned from one another. No query
    runs on this one, so that it may break without harm.
    """
    with _OPENING:
        if address not in _DATABASES:
            _DATABASES[address] = dbapi.connect(address, autocommit=True)
            atexit.register(_DATABASES[address].close)
        return _DATABASES[address]


def quoted(name: str) -> str:
    """An identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def conninfo(connection: Connection) -> str:
    """libpq's keyword form: unlike a URI it takes a socket's folder as host, and any password."""
    values: dict[str, Any] = {
        "host": connection.host or "localhost",
        "port": connection.port or 5432,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "evergreen",
        "sslmode": connection.extra.get("sslmode"),
        "sslrootcert": connection.extra.get("sslrootcert"),
    }
    return " ".join(f"{key}={_literal(value)}" for key, value in values.items() if value is not None)


def _literal(value: Any) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


@contextmanager
def _errors(connection: Connection) -> Iterator[None]:
    where = f"connection '{connection.conn_id}' ({connection.host or 'localhost'}:{connection.port or 5432})"
    try:
        yield
    except adbc.Error as error:
        text = _redacted(str(error), connection)
        state = str(error.sqlstate or "")
        unwelcome = not state and any(sign in text for sign in _UNWELCOME)
        if unwelcome:
            raise SourceError(f"{where}: {text}: check its login, password and database") from None
        if not state or state.startswith(_PASSING):
            raise UnavailableError(f"{where}: {text}: check that the server runs, then run again") from None
        raise SourceError(f"{where}: {text} (SQLSTATE {state}): mend the statement or the grants") from None


def _redacted(text: str, connection: Connection) -> str:
    secrets = [connection.password] if connection.password else []
    for secret in secrets:
        for form in {secret, quote(secret, safe=""), quote(secret), _literal(secret).strip("'")}:
            text = text.replace(form, "***")
    return " ".join(text.split())[:300]
