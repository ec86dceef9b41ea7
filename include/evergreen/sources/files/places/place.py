"""What a place of files is, beside the local disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from evergreen.connections import Connection
    from evergreen.sources.files.address import Address
    from evergreen.storage import Storage


class Place(Protocol):
    """A bucket, a container or a server's disk. Paths are those of its addresses, without a first slash.

    The methods raise `SourceError` if a retry cannot help (absent, denied), `UnavailableError` if it may.
    """

    def matching(self, pattern: str) -> Iterable[str]:
        """The paths of the files that match a pattern, in any order."""

    def exists(self, path: str) -> bool:
        """Whether there is a file at a path."""

    def copy(self, path: str, file: IO[bytes]) -> None:
        """Write the whole file at a path into another one, which is empty, and go back to its beginning."""


Open = Callable[["Address", "Connection | None", "Storage | None"], Place]


@dataclass(frozen=True)
class PlaceKind:
    """How a place is opened by an address in it; nothing is contacted yet.

    `open` gets the source's connection, if it names one, and the pipeline's storage. It raises `SourceError`
    for a connection that lacks what the place needs. `needs_connection`: there is no place without one.
    `is_listed`: files can be searched for by a pattern. `is_url`: paths are written as in a URL.
    """

    open: Open
    needs_connection: bool = False
    is_listed: bool = True
    is_url: bool = False
