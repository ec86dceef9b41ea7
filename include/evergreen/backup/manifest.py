"""The manifest of a backup: a pipeline's objects with size and SHA-256. Written last, it is the backup.

At the place of backups are `objects/<first two digits>/<SHA-256>`, which several backups share, and
`backups/<pipeline>/<number>.json`, their manifests.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

from evergreen.backup.place import Place
from evergreen.errors import IntegrityError, NotFoundError

BACKUPS = "backups/"
_FORMAT = 1
_PIECE = 2**20  # bytes
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MANIFEST = re.compile(r"backups/[^/]+/(\d{8})\.json")


@dataclass(frozen=True)
class Entry:
    """An object of a pipeline: its key below the pipeline's folder, and its content.

    `etag` and `modified` are those that the storage had for it: while they stay, it is the same object.
    """

    key: str
    size: int
    sha256: str
    content_type: str = ""
    note: str = ""
    etag: str = ""
    modified: str = ""

    @property
    def content(self) -> tuple[str, int, str, str, str]:
        """What is restored of it."""
        return self.key, self.size, self.sha256, self.content_type, self.note

    @property
    def at(self) -> str:
        """Where its content is at the place of backups."""
        return f"objects/{self.sha256[:2]}/{self.sha256}"


@dataclass(frozen=True)
class Manifest:
    """A pipeline's backup of a number; `entries` are in the order of their keys."""

    pipeline: str
    number: int
    entries: Sequence[Entry]

    def to_json(self) -> bytes:
        """The manifest as it is stored, with its own digest."""
        content = {
            "format": _FORMAT,
            "pipeline": self.pipeline,
            "number": self.number,
            "objects": [_written(entry) for entry in self.entries],
        }
        return json.dumps({"sha256": _digest(content), **content}, indent=1).encode()

    @classmethod
    def from_json(cls, body: bytes, pipeline: str, number: int) -> Manifest:
        """The manifest in these bytes; raises `ValueError` if they are not that of this backup."""
        try:
            content = json.loads(body)
            promised = content.pop("sha256")
            if content["format"] != _FORMAT:
                raise ValueError(f"it has the format {content['format']} of another release")
            if promised != _digest(content):
                raise ValueError("it does not have its digest")
            entries = [_entry(found) for found in content["objects"]]
        except (TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"it is no manifest ({type(error).__name__})") from None
        if (content["pipeline"], content["number"]) != (pipeline, number):
            raise ValueError("it is that of another backup")
        if len({entry.key for entry in entries}) < len(entries):
            raise ValueError("it names an object twice")
        return cls(pipeline, number, entries)


def manifest_key(pipeline: str, number: int) -> str:
    """Where the manifest of a backup is."""
    return f"{BACKUPS}{pipeline}/{number:08d}.json"


def numbers(place: Place, pipeline: str) -> list[int]:
    """The numbers of a pipeline's backups, oldest first."""
    found = map(_MANIFEST.fullmatch, place.list(f"{BACKUPS}{pipeline}/"))
    return [int(match[1]) for match in found if match]


def read_manifest(place: Place, pipeline: str, number: int) -> Manifest:
    """A pipeline's backup of a number; raises `NotFoundError`, or `IntegrityError` if it is damaged."""
    key = manifest_key(pipeline, number)
    try:
        return Manifest.from_json(place.read(key).body, pipeline, number)
    except ValueError as error:
        raise IntegrityError(
            f"{pipeline}: {place.uri(key)} cannot be restored: {error}: take an earlier backup (--number)"
        ) from None


def newest(place: Place, pipeline: str) -> Manifest | None:
    """A pipeline's newest backup; None if there is none. Raises `IntegrityError` if it is damaged."""
    found = numbers(place, pipeline)
    return read_manifest(place, pipeline, found[-1]) if found else None


def chosen(place: Place, pipeline: str, number: int | None) -> Manifest:
    """A pipeline's backup of a number, or the newest; raises `NotFoundError`, or as `read_manifest`."""
    there = numbers(place, pipeline)
    if not there:
        raise NotFoundError(
            f"{pipeline}: {place.uri()} has no backup of it: evergreen backup {place.uri()} {pipeline}"
        )
    if number is not None and number not in there:
        told = ", ".join(map(str, there[-5:]))
        raise NotFoundError(f"{pipeline}: {place.uri()} has no backup {number} of it: the newest are {told}")
    return read_manifest(place, pipeline, there[-1] if number is None else number)


def entries_from(body: bytes) -> Iterable[Entry]:
    """The entries in a list of them; none where it cannot be read."""
    try:
        return [_entry(found) for found in json.loads(body)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []


def entries_to_json(entries: Iterable[Entry]) -> bytes:
    """A list of entries as it is stored."""
    return json.dumps([_written(entry) for entry in entries]).encode()


def content_of(body: IO[bytes]) -> tuple[int, str]:
    """The size and SHA-256 of a file's whole content, read in pieces; it is at its beginning afterwards."""
    digest, size = hashlib.sha256(), 0
    body.seek(0)
    while piece := body.read(_PIECE):
        digest.update(piece)
        size += len(piece)
    body.seek(0)
    return size, digest.hexdigest()


def _written(entry: Entry) -> dict[str, Any]:
    return {name: value for name, value in asdict(entry).items() if value != ""}


def _entry(found: Mapping[str, Any]) -> Entry:
    entry = Entry(**found)
    texts = (entry.key, entry.content_type, entry.note, entry.etag, entry.modified)
    if not all(isinstance(text, str) for text in texts) or type(entry.size) is not int or entry.size < 0:
        raise ValueError("an object is described by other values than text and a size")
    # A key becomes part of a path in some stores, and the digest becomes one here.
    parts = entry.key.split("/")
    if not _SHA256.fullmatch(entry.sha256) or "\0" in entry.key or {"", ".", ".."} & set(parts):
        raise ValueError("an object has a key or digest of another form")
    return entry


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
