"""The kinds of paging: where the next page is, from what the last one held. Pure; addresses in and out.

An address is path and query on the API's host, such as `/v1/hourly?day=2011-01-01&page=2`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.source import OffsetPaging, PagePaging, Paging

_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[^\s;,="]+\s*(?:=\s*(?:"[^"]*"|[^\s;,"]*))?)*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]*))', re.IGNORECASE)


@dataclass
class Progress:
    """How far a read has come: all that is needed to go on after its last good page.

    `address` is where the next page is, None after the last one; `records` counts the rejected ones too;
    `largest` is the number of records of the fullest page. `probe`: the next page is asked for only to see
    that there is none. `seen` are the addresses of the pages that were read.
    """

    address: str | None
    pages: int = 0
    records: int = 0
    bytes: int = 0
    largest: int = 0
    total: int | None = None
    probe: bool = False
    seen: dict[str, None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The progress as a JSON value."""
        return {**asdict(self), "seen": list(self.seen)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Progress:
        """The progress that `to_dict` wrote."""
        return cls(**{**value, "seen": dict.fromkeys(value["seen"])})


@dataclass(frozen=True)
class Page:
    """What paging looks at: how many records, the document of a JSON answer, its headers and its URL."""

    count: int
    document: Any
    headers: Mapping[str, str]
    url: str


def first_page(paging: Paging, path: str, params: Mapping[str, str]) -> str:
    """The address of the first page."""
    kind = paging.page or paging.offset
    own = {} if kind is None else _numbered(kind, 0, 0)
    return _with(path, {**params, **own})


def next_page(paging: Paging, first: str, so_far: Progress, page: Page) -> str | None:
    """The address of the page after `page`, None after the last; `so_far` counts `page` already.

    Raises `SourceError` for a cursor or link of another kind, a link to another host, and a page that was
    read before.
    """
    if paging.cursor:
        name, address = "cursor", _after_cursor(paging, first, page)
    elif paging.link:
        name, address = "link", _linked(at(page.document, paging.link.path), page.url)
    elif paging.header:
        name, address = "link", _linked(_next_of_header(page.headers.get("Link", "")), page.url)
    elif (kind := paging.page or paging.offset) and not _is_last(kind, so_far, page.count):
        name, address = "page", _with(first, _numbered(kind, so_far.pages, so_far.records))
    else:
        return None
    if address is not None and address in so_far.seen:
        what = f"cursor '{shown(_cursor(paging, page))}'" if paging.cursor else f"{name} to a page"
        raise SourceError(f"the {what} came twice: the API's paging is broken, tell its owner")
    return address


def is_probe(paging: Paging, so_far: Progress, count: int) -> bool:
    """Whether the page after one with `count` records is asked for only to see that there is none.

    Pages by number or offset are: after a first page that is shorter than asked for (the API may keep to a
    smaller size than was asked), and after as many records as the total says.
    """
    kind = paging.page or paging.offset
    if kind is None:
        return False
    size = kind.size if isinstance(kind, PagePaging) else kind.limit
    short = size is not None and so_far.pages == 1 and count < size
    return short or (so_far.total is not None and so_far.records >= so_far.total)


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


def _is_last(kind: PagePaging | OffsetPaging, so_far: Progress, count: int) -> bool:
    sized = isinstance(kind, OffsetPaging) or kind.size is not None
    return count == 0 or (sized and count < so_far.largest)


def _numbered(kind: PagePaging | OffsetPaging, pages: int, records: int) -> dict[str, str]:
    if isinstance(kind, OffsetPaging):
        return {kind.param: str(records), kind.limit_param: str(kind.limit)}
    size = {kind.size_param: str(kind.size)} if kind.size_param else {}
    return {kind.param: str(kind.first + pages), **size}


def _cursor(paging: Paging, page: Page) -> Any:
    assert paging.cursor is not None
    return at(page.document, paging.cursor.path)


def _after_cursor(paging: Paging, first: str, page: Page) -> str | None:
    assert paging.cursor is not None
    cursor = _cursor(paging, page)
    if cursor is None or cursor is False or cursor == "":
        return None
    if isinstance(cursor, bool) or not isinstance(cursor, str | int | float):
        raise SourceError(
            f"under '{paging.cursor.path}' is a {type(cursor).__name__}, no cursor: check the source's paging"
        )
    try:
        return _with(first, {paging.cursor.param: str(cursor)})
    except ValueError:
        raise SourceError("the cursor has thousands of digits: check the source's paging") from None


def _linked(link: Any, page_url: str) -> str | None:
    if link is None or link is False or link == "":
        return None
    here = httpx.URL(page_url)
    try:
        there = here.join(link)
        if not there.host and there.scheme not in ("http", "https"):
            raise SourceError("the link to the next page is no address: check the source's paging")
        raw = there.raw_path.decode("ascii")
    except (httpx.InvalidURL, ValueError, TypeError):
        raise SourceError("the link to the next page is no address: check the source's paging") from None
    if (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port):
        raise SourceError(
            f"the next page is at {there.scheme}://{shown(there.host)}, which is not followed, for the key "
            "must not go elsewhere: put that address into the connection if it is right"
        )
    return raw


def _next_of_header(header: str) -> str | None:
    for target, parameters in _LINK.findall(header):
        relations = [quoted or plain for quoted, plain in _REL.findall(parameters)]
        if relations and "next" in relations[0].lower().split():
            return str(target)
    return None


def _with(address: str, params: Mapping[str, str]) -> str:
    try:
        url = httpx.URL(f"http://api{address}")  # an address of two slashes would name a host
        return url.copy_merge_params(dict(params)).raw_path.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        raise SourceError("the next page's address is too long or no address: check the paging") from None
