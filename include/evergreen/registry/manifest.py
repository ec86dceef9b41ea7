"""A version's manifest: size and SHA-256 of each of its files. A version exists once it has one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from evergreen.errors import IntegrityError


@dataclass(frozen=True)
class FileDigest:
    """Size in bytes and SHA-256 (hexadecimal) of a file."""

    size: int
    sha256: str

    @classmethod
    def of(cls, body: bytes) -> FileDigest:
        """The digest of these bytes."""
        return cls(len(body), hashlib.sha256(body).hexdigest())


@dataclass(frozen=True)
class Manifest:
    """The files of a version by name, in the order of their names."""

    version: str
    files: Mapping[str, FileDigest]

    def to_json(self) -> bytes:
        """The manifest as it is stored."""
        files = {name: asdict(self.files[name]) for name in sorted(self.files)}
        return json.dumps({"version": self.version, "files": files}, indent=1).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Manifest:
        """The manifest in these bytes; raises `ValueError`, `TypeError` or `KeyError` if they hold none."""
        content = json.loads(body)
        files = {
            name: FileDigest(int(digest["size"]), str(digest["sha256"]))
            for name, digest in content["files"].items()
        }
        return cls(str(content["version"]), files)

    def check(self, name: str, body: bytes) -> bytes:
        """The bytes themselves if they are the file `name`; raises `IntegrityError` if one bit differs."""
        promised = self.files[name]
        found = FileDigest.of(body)
        if found != promised:
            raise IntegrityError(
                f"'{name}' has {found.size} bytes and sha256 {found.sha256[:12]}…, its manifest says "
                f"{promised.size} and {promised.sha256[:12]}…"
            )
        return body
