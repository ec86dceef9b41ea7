"""Whether answers can be the whole of what an API has: signs of an error, and of further pages. Pure.

Paging ends where an answer tells of no further page; a field under a wrong name tells of none either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx

from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.http.document import fields
from evergreen.sources.http.paging import PagingKind
from evergreen.sources.http.progress import Page, Progress, Request

_ERRORS = ("error", "errors")
_SIZE = re.compile(r"limit|size|per_?page|page_?len|count|top|first|rows|max|take|num", re.IGNORECASE)
_NEXT = re.compile(r"next|cursor|continu|skip_?token|page_?token|scroll", re.IGNORECASE)
_BACK = re.compile(r"prev|before|start|first", re.IGNORECASE)
_MORE = re.compile(
    r"(has|is)_?(more|next|truncated|partial)(_?pages?|_?items|_?results)?|more", re.IGNORECASE
)


def check_without_records(path: str, records: str, page: Page, is_there: bool, so_far: Progress) -> None:
    """Raise `SourceError` for a page without records that is no empty page but an answer of another shape.

    `is_there`: it has the field of the records, which is null or empty. Without it, the page is empty if it
    has no other keys than those pages had that have it, or its total is 0.
    """
    document = page.document
    if page.count or document is None:
        return
    names = list(document) if isinstance(document, dict) else []
    if error := next((name for name in names if name.lower() in _ERRORS and document[name]), None):
        told = shown(json.dumps(document[error], default=str))
        raise SourceError(f"{path}: the API answers with an error instead of records: {told}: ask its owner")
    known = so_far.keys
    as_before = known is not None and set(names) <= set(known)
    if not (is_there and known is None) and not as_before and so_far.total != 0:
        there = shown(", ".join(names)) if isinstance(document, dict) else f"a {type(document).__name__}"
        raise SourceError(
            f"{path}: no list of records under '{records}' (there: {there}): set the source's 'records' to "
            "where they are"
        )


def check_end(paging: PagingKind, first: Request, so_far: Progress, page: Page) -> None:
    """Raise `SourceError` after the last page if there is a sign of further ones.

    No answer had a field that paging looks for, and the page is as long as was asked for, or the total is
    larger, or a field of another name tells of more.
    """
    if so_far.held or not page.count or not (wanted := paging.looked_for(page)):
        return
    if sign := _sign(first, so_far, page):
        there = page.headers if not paging.in_document else dict(fields(page.document))
        names = " and ".join(f"'{name}'" for name in wanted)
        kind = "path" if paging.in_document else "header"
        raise SourceError(
            f"no answer has {names}, where the source's paging looks for the next page, but {sign} (there: "
            f"{', '.join(map(shown, there)) or 'nothing else'}): set the {kind} in 'paging' to what tells of "
            "the next page; if the API leaves it out after the last one, ask for larger pages"
        )


def _sign(first: Request, so_far: Progress, page: Page) -> str | None:
    if so_far.total is not None and so_far.total > so_far.records:
        return f"the total is {so_far.total}, and there were {so_far.records} records"
    if size := next((name for name, size in _sizes(first) if size == page.count), None):
        return f"the page is full: it has the {page.count} records that '{size}' asks for"
    told = dict(fields(page.document))
    if any(value is False for name, value in told.items() if _MORE.fullmatch(_leaf(name))):
        return None
    return next((f"'{name}' tells of more" for name, value in told.items() if _tells(name, value)), None)


def _tells(name: str, value: Any) -> bool:
    leaf = _leaf(name)
    if _MORE.fullmatch(leaf):
        return value is True
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not value:
        return False
    return bool(_NEXT.search(leaf)) and not _BACK.search(leaf)


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def _sizes(first: Request) -> list[tuple[str, int]]:
    """The sizes of a page that the first request asks for, by what they are called."""
    query: Mapping[str, Any] = httpx.URL(f"http://api{first.address}").params
    body = dict(fields(json.loads(first.body))) if first.body else {}
    found = {**dict(query), **body}
    return [(name, int(value)) for name, value in found.items() if _SIZE.search(name) and _is_whole(value)]


def _is_whole(value: Any) -> bool:
    if isinstance(value, str):
        return value.isdecimal() and len(value) < 10
    return isinstance(value, int) and not isinstance(value, bool)
