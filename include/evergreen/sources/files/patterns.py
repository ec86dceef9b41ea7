"""Patterns of names with `*`, `?`, `[...]` and `**`, matched as Python's `glob` does. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

_MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True)
class Entry:
    """What a folder holds under a name. A link that leads to a folder is one, but `**` does not follow it."""

    name: str
    is_folder: bool
    is_link: bool = False


Listing = Callable[[str], Iterable[Entry]]
"""The entries of the folder at a path; none if it is no folder."""


def is_pattern(path: str) -> bool:
    """Whether a path stands for all files that match it."""
    return _MAGIC.search(path) is not None


@dataclass(frozen=True)
class _Part:
    """One name of a pattern."""

    text: str

    @property
    def is_deep(self) -> bool:
        return self.text == "**"

    @property
    def is_literal(self) -> bool:
        return not is_pattern(self.text)

    def matches(self, name: str) -> bool:
        # A name that begins with a dot is hidden, unless the pattern has the dot too.
        hidden = name.startswith(".") and not self.text.startswith(".")
        return not hidden and _form(self.text).match(name) is not None


@cache
def _form(text: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(text))


class Pattern:
    """A path with wildcards below a folder or bucket, whose names are separated by `/`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._parts = tuple(map(_Part, text.split("/")))

    @property
    def prefix(self) -> str:
        """The text that every path which matches begins with."""
        return _MAGIC.split(self._text, maxsplit=1)[0]

    def matches(self, path: str) -> bool:
        """Whether a path matches."""
        return _matches(path.split("/"), self._parts)

    def below(self, top: str, entries: Listing) -> list[str]:
        """The paths of all files that match, sorted; only folders that the pattern can match are listed."""
        return sorted(set(_found(top, self._parts, cache(lambda folder: tuple(entries(folder))))))


def _matches(names: Sequence[str], parts: Sequence[_Part]) -> bool:
    if not parts:
        return not names
    part, rest = parts[0], parts[1:]
    if part.is_deep:
        deeper = bool(names) and not names[0].startswith(".") and _matches(names[1:], parts)
        # At the end `**` stands for a file too, and so for one name at least.
        return deeper or (_matches(names, rest) if rest else len(names) == 1 and not names[0].startswith("."))
    return bool(names) and part.matches(names[0]) and _matches(names[1:], rest)


def _found(folder: str, parts: Sequence[_Part], entries: Listing) -> Iterator[str]:
    part, rest = parts[0], parts[1:]
    if part.is_literal and rest:
        yield from _found(f"{folder}{part.text}/", rest, entries)
        return
    if part.is_deep and rest:
        yield from _found(folder, rest, entries)
    for entry in entries(folder):
        path = f"{folder}{entry.name}"
        if part.is_deep:
            if entry.name.startswith("."):
                continue
            if entry.is_folder and not entry.is_link:
                yield from _found(f"{path}/", parts, entries)
            elif not entry.is_folder and not rest:
                yield path
        elif part.matches(entry.name):
            if rest and entry.is_folder:
                yield from _found(f"{path}/", rest, entries)
            elif not rest and not entry.is_folder:
                yield path
