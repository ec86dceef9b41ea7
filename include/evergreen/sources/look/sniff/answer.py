"""Where an API's JSON answer has its records, and what in it tells of further pages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.http.document import fields

_NEXT = re.compile(r"next|cursor|continu|token|more|page|total|count|scroll", re.IGNORECASE)
_LINK = re.compile(r"next|more", re.IGNORECASE)
_ADDRESS = re.compile(r"(https?:/)?/\S*|\?\S+")


@dataclass(frozen=True)
class Shape:
    """The keys of a description that an answer tells, and doubts; `has_pages` if there seem to be more."""

    config: Mapping[str, Any]
    doubts: Sequence[str] = field(default=())


def sniff_document(document: Any, headers: Mapping[str, str]) -> Shape:
    """The shape of an answer: its list of objects are the records, and an address beside it the next page.

    Raises `SourceError` for an answer without a list of objects.
    """
    beside = dict(fields(document))
    lists = [name for name, value in {"": document, **beside}.items() if _has_records(value)]
    if not lists:
        there = shown(", ".join(beside)) or f"a {type(document).__name__}"
        raise SourceError(f"the answer has no list of records (there: {there}): ask another path")
    lists.sort(key=lambda name: -len(document if not name else beside[name]))
    doubts = [f"records: they may be under '{name}' too" for name in lists[1:]]
    paging, said = _paging(beside, headers)
    return Shape({"records": lists[0], **paging}, (*doubts, *said))


def _has_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _paging(beside: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[dict[str, Any], Sequence[str]]:
    """The paging that an address of the next page tells, or the fields that may tell of one."""
    if 'rel="next"' in headers.get("link", ""):
        return {"paging": {"header": {}}}, ()
    links = [
        name
        for name, value in beside.items()
        if isinstance(value, str) and _LINK.search(name.rpartition(".")[2]) and _ADDRESS.fullmatch(value)
    ]
    if links:
        return {"paging": {"link": {"path": links[0]}}}, ()
    told = {
        name: value
        for name, value in beside.items()
        if isinstance(value, str | int | float) and value and _NEXT.search(name.rpartition(".")[2])
    }
    if not told:
        return {}, ()
    said = ", ".join(f"{name} {shown(str(value))}" for name, value in list(told.items())[:5])
    return {}, (f"paging: one answer was read, and {said} may tell of further pages",)
