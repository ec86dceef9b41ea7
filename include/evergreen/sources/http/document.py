"""Where something stands in a JSON document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_ABSENT = object()
_SHOWN_DEPTH = 3


def at(document: Any, path: str) -> Any:
    """What a document holds under a dotted path, or None; the empty path is the whole document.

    The path, or a part of it, may be a key that has dots itself, such as `@odata.nextLink`: the longest key
    that leads somewhere counts.
    """
    found = _look(document, path.split(".") if path else [])
    return None if found is _ABSENT else found


def has(document: Any, path: str) -> bool:
    """Whether a document holds the path, even if there is null."""
    return _look(document, path.split(".") if path else []) is not _ABSENT


def put(document: Any, path: str, value: Any) -> dict[str, Any]:
    """A copy of an object with the value under a dotted path, which need not be there before."""
    copy = dict(document) if isinstance(document, Mapping) else {}
    name, _, rest = path.partition(".")
    if path in copy or not rest:
        return {**copy, path: value}
    return {**copy, name: put(copy.get(name), rest, value)}


def fields(document: Any, prefix: str = "", depth: int = _SHOWN_DEPTH) -> Iterator[tuple[str, Any]]:
    """The dotted path and the value of every field of an object, those of its objects too, but of no list."""
    if not isinstance(document, dict) or not depth:
        return
    for name, value in document.items():
        yield f"{prefix}{name}", value
        yield from fields(value, f"{prefix}{name}.", depth - 1)


def _look(document: Any, names: list[str]) -> Any:
    if not names:
        return document
    if isinstance(document, list):
        name = names[0]
        if not (name.isdecimal() and int(name) < len(document)):
            return _ABSENT
        return _look(document[int(name)], names[1:])
    if isinstance(document, dict):
        for length in range(len(names), 0, -1):
            key = ".".join(names[:length])
            if key in document and (found := _look(document[key], names[length:])) is not _ABSENT:
                return found
    return _ABSENT
