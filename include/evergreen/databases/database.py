"""What Evergreen needs of a database: a session that describes, streams and replaces rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from evergreen.calendar import Zone

if TYPE_CHECKING:
    from evergreen.connections import Connection
    from evergreen.databases.writer import Writer

TIMEOUT = timedelta(minutes=10)
"""How long a session may take where nothing else is declared."""

Reject = Callable[[int, str, str], None]
"""Notes a row that cannot be read: its number in the result (from 0), its text, and why."""


@dataclass(frozen=True)
class Bounds:
    """A partition's first moment and the first one after it; `local_*` are these as local times."""

    start: datetime
    end: datetime
    local_start: datetime
    local_end: datetime

    @classmethod
    def of(cls, start: datetime | None, end: datetime | None, zone: Zone) -> Bounds | None:
        """Those of a partition, with what times without a zone are compared with; None for a snapshot."""
        if start is None or end is None:
            return None
        first, last = start.astimezone(UTC), end.astimezone(UTC)
        local = [zone.reached(moment.replace(tzinfo=None)) for moment in (first, last)]
        return cls(first, last, *local)

    @property
    def days(self) -> tuple[date, date]:
        """The first local day that begins in the bounds, and the first one after them."""
        day = timedelta(days=1) - timedelta(microseconds=1)
        return (self.local_start + day).date(), (self.local_end + day).date()


@dataclass(frozen=True)
class TableFound:
    """A table's name in SQL, and its columns with the database's own names of their types."""

    sql: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Query:
    """What to read: columns with the database's names of their types, and the SQL from FROM on.

    `types` are those that the description declares, `values` those of the parameters in `origin`.
    """

    columns: Mapping[str, str]
    origin: str
    values: tuple[Any, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)


class Session(ABC):
    """One transaction. Methods raise the driver's own errors, which the session's opener converts."""

    exact_bounds: ClassVar[bool] = True
    """Whether `between` selects exactly the partition's rows, so that nobody has to look again."""

    @abstractmethod
    def quoted(self, name: str) -> str:
        """An identifier, quoted."""

    @abstractmethod
    def tables(self) -> list[str]:
        """The tables and views, as a description names them."""

    @abstractmethod
    def table(self, name: str) -> TableFound | None:
        """The table or view of this name (`schema.name` or `name`)."""

    @abstractmethod
    def described(self, statement: str) -> dict[str, str]:
        """The columns of a query without parameters, which is not run, and their types."""

    def parameter(self, position: int, *, local: bool) -> str:
        """How the parameter at this position (from 0) is written: a moment, or a local time."""
        return "?"

    def null(self, *, local: bool) -> str:
        """A NULL in the place of a parameter, of its type."""
        return "NULL"

    def value(self, moment: datetime) -> Any:
        """A bound of the partition as the driver takes it: a moment has an offset, a local time has none."""
        return moment

    @abstractmethod
    def between(self, name: str, kind: str, bounds: Bounds) -> tuple[str, tuple[Any, ...]] | None:
        """The condition that a column's time lies in the bounds; None if the type is not one of times."""

    def declared(self, kind: str) -> str | None:
        """The lake's type for a column whose type the driver's Arrow type does not show; None otherwise."""
        return None

    @abstractmethod
    def stream(self, query: Query, reject: Reject) -> Generator[Any, None, None]:
        """The result's Arrow schema, then its batches."""

    @abstractmethod
    def fetch(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a small result; none for a statement that has no result."""


@dataclass(frozen=True)
class Database:
    """A database that rows are read from, and predictions written to.

    `package` is the distribution with its driver, `module` what that one is imported as. `read` opens a
    `Session`, `write` a `Writer`; where there is none, `no_reads` and `no_writes` say why.
    """

    name: str
    package: str
    module: str
    read: Callable[[Connection, timedelta], AbstractContextManager[Session]] | None = None
    write: Callable[[Connection, timedelta], AbstractContextManager[Writer]] | None = None
    no_reads: str = ""
    no_writes: str = ""
    backslashes: bool = False
    """Whether a backslash escapes inside a text, `#` begins a comment and names stand in backticks."""
