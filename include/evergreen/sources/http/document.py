"""Where something stands in a JSON document."""

from __future__ import annotations

from typing import Any


def at(document: Any, path: str) -> Any:
    """What a document holds under a dotted path, or None; the empty path is the whole document."""
    for name in path.split(".") if path else ():
        if isinstance(document, dict):
            document = document.get(name)
        elif isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            return None
    return document
