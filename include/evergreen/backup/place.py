"""The place of backups: a folder, or an address in S3. An object is written there whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from evergreen.errors import ConflictError, NotFoundError, StorageError
from evergreen.multipart import PART
from evergreen.storage import Credentials, Storage, StoredObject

_PART = ".part"


class Folder:
    """A folder on disk, which is made with the first object; it answers as `Storage` does for S3."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def uri(self, key: str = "") -> str:
        """The file of a key."""
        return str(self._root / key)

    def exists(self, key: str) -> bool:
        """Whether there is an object at `key`."""
        return (self._root / key).is_file()

    def read(self, key: str) -> StoredObject:
        """The object at `key`; raises `NotFoundError` if there is none."""
        with self._errors(key):
            return StoredObject((self._root / key).read_bytes(), "")

    def list(self, prefix: str) -> list[str]:
        """Keys below `prefix`, which ends with a slash, sorted; half-written files are none."""
        with self._errors(prefix):
            files = [file for file in (self._root / prefix).rglob("*") if file.suffix != _PART]
            return sorted(file.relative_to(self._root).as_posix() for file in files if file.is_file())

    def folders(self, prefix: str) -> Sequence[str]:
        """Names of the folders directly below `prefix`, sorted."""
        folder = self._root / prefix
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []

    def upload(self, key: str, body: IO[bytes]) -> None:
        """Write a file's whole content."""
        body.seek(0)
        with self._errors(key), self._part(key) as part:
            shutil.copyfileobj(body, part, PART)
            _to_disk(part)
            Path(part.name).replace(self._root / key)

    def download(self, key: str, body: IO[bytes]) -> None:
        """Write the object at `key` into a file; raises `NotFoundError` if there is none."""
        with self._errors(key), (self._root / key).open("rb") as there:
            shutil.copyfileobj(there, body, PART)
        body.seek(0)

    def create(self, key: str, body: bytes) -> str:
        """Write a new object; raises `ConflictError` if one is there already."""
        with self._errors(key), self._part(key) as part:
            part.write(body)
            _to_disk(part)
            (self._root / key).hardlink_to(part.name)  # fails where there is one, whoever came first
        return ""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects at the keys; missing ones are ignored."""
        with self._errors(""):
            for key in keys:
                (self._root / key).unlink(missing_ok=True)

    @contextmanager
    def _part(self, key: str) -> Iterator[IO[bytes]]:
        """A file beside that of the key, which is gone afterwards unless it has taken its name."""
        folder = (self._root / key).parent
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, suffix=_PART, delete=False) as part:
            try:
                yield part
            finally:
                Path(part.name).unlink(missing_ok=True)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        where = self._root / key
        try:
            yield
        except FileNotFoundError:
            raise NotFoundError(f"{where} does not exist") from None
        except FileExistsError:
            raise ConflictError(f"{where} was written by somebody else first: run again") from None
        except OSError as error:
            raise StorageError(
                f"{where} cannot be used ({error.strerror}): check its disk and its permissions"
            ) from None


Place = Storage | Folder


def place_at(address: str, credentials: Credentials) -> Place:
    """The place at an `s3://` address, opened with these credentials, or in a folder.

    Raises `StorageError` for an address of another kind. Nothing is contacted yet.
    """
    scheme = urlsplit(address).scheme if "://" in address else ""
    if scheme == "s3" and urlsplit(address).netloc:
        return Storage.open(address, credentials)
    if scheme:
        raise StorageError(f"'{address}' is no place for backups: give a folder, or s3://bucket/prefix")
    return Folder(Path(address))


def _to_disk(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
