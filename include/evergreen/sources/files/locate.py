"""A source's path to the list of its files: filled in for a partition, and searched for by a pattern."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO
from urllib.parse import quote

from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.shown import shown
from evergreen.sources.files.address import Address
from evergreen.sources.files.patterns import is_pattern
from evergreen.sources.files.places import PLACES
from evergreen.sources.files.places.place import Place
from evergreen.sources.placeholders import Window, filled
from evergreen.storage import Storage


@dataclass(frozen=True)
class LocatedFile:
    """A file that a source's path stands for; `name` is its path as the source writes it, or its address.

    It is at `path` on disk, or at `key` in a `place`.
    """

    name: str
    path: Path | None = None
    place: Place | None = None
    key: str = ""

    def exists(self) -> bool:
        """Whether the file is there now."""
        if self.path is not None:
            return self.path.exists()
        assert self.place is not None
        return self.place.exists(self.key)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The file's bytes, seekable; one that is not on disk is copied to a temporary file without a name.

        Raises `SourceError` for a file that is gone or may not be read, `UnavailableError` for a place that
        cannot be reached or no room for the copy.
        """
        with self._open_local() if self.path else self._copied() as file:
            yield file

    def _open_local(self) -> IO[bytes]:
        assert self.path is not None
        try:
            if self.path.exists() and not self.path.is_file():
                raise SourceError(f"{self.path} is no file: change the source's path")
            return self.path.open("rb")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SourceError(
                f"file {self.path} cannot be read ({reason}): put it there or change the source's path"
            ) from None

    def _copied(self) -> IO[bytes]:
        assert self.place is not None
        file = tempfile.TemporaryFile(prefix="evergreen-")  # noqa: SIM115 - lives on
        try:
            self.place.copy(self.key, file)
        except OSError as error:
            file.close()
            raise UnavailableError(
                f"{self.name} cannot be copied to {tempfile.gettempdir()} ({error.strerror or error}): "
                "make room there, then run again"
            ) from None
        except BaseException:
            file.close()
            raise
        return file


def locate(
    path: str,
    folder: Path,
    storage: Storage,
    partition: str,
    start: datetime | None,
    *,
    connection: Connection | None = None,
) -> list[LocatedFile]:
    """The files that a source's path stands for in a partition, sorted by name.

    `{partition}` is the partition's key, `{partition:%Y/%m/%d}` its first instant `start` in that form. A
    path without wildcards is one file, which may be absent; with `*`, `?`, `[...]` and `**` it is all that
    match, maybe none, without those whose names begin with a dot. A relative path starts at the pipeline's
    `folder`, and its author may leave that with `..`, for he may name any file by its absolute path too; a
    partition's key that would lead elsewhere is refused. An address such as `s3://bucket/key` is opened by
    the `connection`. Raises `SourceError`, and `UnavailableError` for a place that cannot be reached.
    """
    _check_key(partition)
    kind = PLACES.get(Address.of(path).scheme)
    if kind is not None and kind.is_url:
        return [_elsewhere(fill(path, quote(partition, safe=""), start), storage, connection)]
    if not is_pattern(fill(path, "", start)):
        one = fill(path, partition, start)
        return [LocatedFile(one, folder / one) if kind is None else _elsewhere(one, storage, connection)]
    pattern = fill(path, glob.escape(partition), start)
    if kind is not None:
        return _matching(pattern, storage, connection)
    names = glob.glob(pattern, root_dir=folder, recursive=True)
    return [LocatedFile(name, folder / name) for name in sorted(names) if (folder / name).is_file()]


def fill(path: str, partition: str, start: datetime | None) -> str:
    """The path with the partition's key and first instant filled in; `SourceError` if it has no instant."""
    try:
        return filled(path, Window(partition, start))
    except SourceError as error:
        raise SourceError(f"path '{path}': {error}") from None


def _check_key(partition: str) -> None:
    # A key is one piece of a name: it never opens another folder, nor climbs out of one.
    if not partition.strip(".") or set(partition) & set("/\\\0"):
        raise SourceError(
            f"partition '{shown(partition)}' cannot be part of a file's name (it is empty, or dots, or holds "
            "'/', '\\' or NUL): take another key"
        )


def _elsewhere(name: str, storage: Storage, connection: Connection | None) -> LocatedFile:
    address = _address(name)
    place = PLACES[address.scheme].open(address, connection, storage)
    return LocatedFile(address.name(address.path), place=place, key=address.path)


def _matching(pattern: str, storage: Storage, connection: Connection | None) -> list[LocatedFile]:
    address = _address(pattern)
    place = PLACES[address.scheme].open(address, connection, storage)
    return [
        LocatedFile(address.name(key), place=place, key=key) for key in sorted(place.matching(address.path))
    ]


def _address(name: str) -> Address:
    address = Address.of(name)
    if not address.root or not address.path:
        raise SourceError(
            f"path '{shown(name)}' is no address of a file: write its name behind {address.scheme}://.../"
        )
    return address


def missing_file(
    path: str,
    folder: Path,
    storage: Storage,
    partition: str,
    start: datetime | None,
    *,
    connection: Connection | None = None,
) -> str | None:
    """What is missing, in one line, if none of the files of `locate` is there; raises as `locate` does."""
    files = locate(path, folder, storage, partition, start, connection=connection)
    if any(file.exists() for file in files):
        return None
    return f"{files[0].name if files else fill(path, partition, start)} does not exist"
