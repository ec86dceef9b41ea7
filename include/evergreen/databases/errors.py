"""What the errors of drivers mean to a user, without secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

from evergreen.connections import Connection, redacted
from evergreen.errors import SourceError, UnavailableError


class Meaning(Enum):
    """What an error of a driver says."""

    WRONG = auto()
    UNWELCOME = auto()
    UNAVAILABLE = auto()
    LATE = auto()


class TimedOutError(Exception):
    """The session took longer than it may."""


_WRONG = "fix the statement, the data or the grants"
_REMEDIES = {
    Meaning.UNWELCOME: "check its login, password and database",
    Meaning.UNAVAILABLE: "check that the database can be reached, then run again",
    Meaning.LATE: "run again, or raise the source's timeout",
}


@contextmanager
def translated(
    connection: Connection,
    kinds: tuple[type[Exception], ...],
    meaning: Callable[[Exception], Meaning],
    text: Callable[[Exception], str] = str,
) -> Iterator[None]:
    """Raise the driver's errors (`kinds`) as `SourceError` or `UnavailableError`, on one line.

    `text` is what of an error is shown.
    """
    where = f"connection '{connection.conn_id}' ({place(connection)})"
    try:
        yield
    except TimedOutError:
        raise UnavailableError(
            f"{where}: the statement took longer than its timeout: {_REMEDIES[Meaning.LATE]}"
        ) from None
    except kinds as error:
        found = meaning(error)
        told = redacted(text(error), connection)
        remedy = _REMEDIES.get(found, _WRONG)
        passing = found in (Meaning.UNAVAILABLE, Meaning.LATE)
        raise (UnavailableError if passing else SourceError)(f"{where}: {told}: {remedy}") from None


def place(connection: Connection) -> str:
    """Where the database is, for messages."""
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.host or connection.schema or 'localhost'}{port}"
