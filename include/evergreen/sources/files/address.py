"""Addresses of files, such as `s3://bucket/key`; a path on disk has no scheme. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)/?(.*)", re.DOTALL)


@dataclass(frozen=True)
class Address:
    """A file's scheme, the bucket, container or host it is in, and its path there without a first slash."""

    scheme: str
    root: str
    path: str

    @classmethod
    def of(cls, text: str) -> Self:
        """The parts of an address; of a path on disk, all is `path`."""
        found = _SCHEME.fullmatch(text)
        return cls(found[1], found[2], found[3]) if found else cls("", "", text)

    @property
    def top(self) -> str:
        """The address of the bucket, container or host."""
        return f"{self.scheme}://{self.root}"

    def name(self, path: str) -> str:
        """A file's address for people: on one line, and without the query of a URL, which may hold a key."""
        shown = path.partition("?")[0] if self.scheme in ("http", "https") else path
        return "".join(letter if letter.isprintable() else " " for letter in f"{self.top}/{shown}")
