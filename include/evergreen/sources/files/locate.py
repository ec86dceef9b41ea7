"""A source's path to the list of its files: filled in for a partition, globbed, on disk or in S3."""

from __future__ import annotations

import copy
import fnmatch
import glob
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from evergreen.errors import NotFoundError, SourceError, StorageError, UnavailableError
from evergreen.shown import shown
from evergreen.sources.placeholders import Window, filled
from evergreen.storage import Storage

_MAGIC = re.compile(r"[*?[]")
_FAILURES = (NotFoundError, StorageError)

_Part = tuple[re.Pattern[str], bool] | None  # of a pattern: a name's form and whether it may be hidden; `**`


@dataclass(frozen=True)
class LocatedFile:
    """A file that a source's path stands for; `name` is its path as the source writes it, or `s3://`."""

    name: str
    path: Path | None = None
    storage: Storage | None = None
    key: str = ""

    def exists(self) -> bool:
        """Whether the file is there now."""
        if self.path is not None:
            return self.path.exists()
        assert self.storage is not None
        return self.storage.exists(self.key)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The file's bytes, seekable; an object of S3 is copied to a temporary file without a name.

        Raises `SourceError` for a file that is gone or may not be read, `UnavailableError` for a storage that
        cannot be reached or no room for the copy.
        """
        with self._open_local() if self.path else self._downloaded() as file:
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

    def _downloaded(self) -> IO[bytes]:
        assert self.storage is not None
        file = tempfile.TemporaryFile(prefix="evergreen-")  # noqa: SIM115 - lives on
        try:
            self.storage.download(self.key, file)
        except (*_FAILURES, OSError) as error:
            file.close()
            raise _explained(error, self.name) from None
        return file


def locate(
    path: str, folder: Path, storage: Storage, partition: str, start: datetime | None
) -> list[LocatedFile]:
    """The files that a source's path stands for in a partition, sorted by name.

    `{partition}` is the partition's key, `{partition:%Y/%m/%d}` its first instant `start` in that form. A
    path without wildcards is one file, which may be absent; with `*`, `?`, `[...]` and `**` it is all that
    match, maybe none, without those whose names begin with a dot. A relative path starts at the pipeline's
    `folder`, and its author may leave that with `..`, for he may name any file by its absolute path too; a
    partition's key that would lead elsewhere is refused. Raises `SourceError`, and `UnavailableError` for a
    storage that cannot be reached.
    """
    _check_key(partition)
    if not _MAGIC.search(fill(path, "", start)):
        return [_one(fill(path, partition, start), folder, storage)]
    pattern = fill(path, glob.escape(partition), start)
    if pattern.startswith("s3://"):
        return _matching_objects(pattern, storage)
    names = glob.glob(pattern, root_dir=folder, recursive=True)
    return [_one(name, folder, storage) for name in sorted(names) if (folder / name).is_file()]


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


def _one(name: str, folder: Path, storage: Storage) -> LocatedFile:
    if not name.startswith("s3://"):
        return LocatedFile(name, path=folder / name)
    bucket, key = _address(name)
    return LocatedFile(name, storage=_top_of(bucket, storage), key=key)


def _matching_objects(pattern: str, storage: Storage) -> list[LocatedFile]:
    bucket, key_pattern = _address(pattern)
    there = _top_of(bucket, storage)
    prefix = _MAGIC.split(key_pattern, maxsplit=1)[0]
    try:
        keys = there.list(prefix)
    except _FAILURES as error:
        raise _explained(error, pattern) from None
    parts = [
        None if part == "**" else (re.compile(fnmatch.translate(part)), part.startswith("."))
        for part in key_pattern.split("/")
    ]
    return [
        LocatedFile(f"s3://{bucket}/{key}", storage=there, key=key)
        for key in keys
        if not key.endswith("/") and _matches(key.split("/"), parts)
    ]


def _matches(names: Sequence[str], parts: Sequence[_Part]) -> bool:
    """Whether a path's names match a pattern's parts as in a shell; None is `**`."""
    if not parts:
        return not names
    part = parts[0]
    if part is None:
        return _matches(names, parts[1:]) or (
            bool(names) and not names[0].startswith(".") and _matches(names[1:], parts)
        )
    if not names or (names[0].startswith(".") and not part[1]):
        return False
    return bool(part[0].match(names[0])) and _matches(names[1:], parts[1:])


def _address(name: str) -> tuple[str, str]:
    bucket, _, key = name.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise SourceError(f"path '{shown(name)}' is no address of an object: write s3://bucket/key")
    return bucket, key


def _top_of(bucket: str, storage: Storage) -> Storage:
    """Another bucket of the same store, from its top; a client takes long to make, and is safe to share."""
    there = copy.copy(storage)
    there.bucket, there.prefix = bucket, ""
    return there


def _explained(error: Exception, name: str) -> Exception:
    if isinstance(error, NotFoundError):
        return SourceError(f"{name} does not exist: put it there or change the source's path")
    if isinstance(error, StorageError):
        return SourceError(f"{name}: {error}")
    reason = getattr(error, "strerror", None) or error
    return UnavailableError(
        f"{name} cannot be copied to {tempfile.gettempdir()} ({reason}): make room there, then run again"
    )


def missing_file(
    path: str, folder: Path, storage: Storage, partition: str, start: datetime | None
) -> str | None:
    """What is missing, in one line, if none of the files of `locate` is there; raises as `locate` does."""
    files = locate(path, folder, storage, partition, start)
    if any(file.exists() for file in files):
        return None
    return f"{files[0].name if files else fill(path, partition, start)} does not exist"
