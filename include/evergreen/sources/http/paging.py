"""The kinds of paging: how an API divides its answer into pages, and where the next page is. Pure.

A kind is a class with its entry in `PAGINGS`. What ends a read is said in docs/adr/0035.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny, model_validator

from evergreen.description import Described, OneOf
from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.http.document import at, has
from evergreen.sources.http.progress import Link, Page, Progress, Told
from evergreen.units import Column

Params = Mapping[str, Any]
"""What asks for a page: a text or number by its name, where the kind is `in`."""

_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[^\s;,="]+\s*(?:=\s*(?:"[^"]*"|[^\s;,"]*))?)*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]*))', re.IGNORECASE)
_WORDS = {"true": True, "false": False, "yes": True, "no": False, "": False}


class PagingKind(Described):
    """A kind of paging.

    `is_counted`: pages are asked for by number, so they shift when records come or go.
    """

    is_counted: ClassVar[bool] = False
    more: str | None = None
    """The path (dotted) of a field that says whether there is a further page: true or false, or a number that
    is not 0. No ends the read, whatever else the answer holds. Example: meta.has_more
    """

    @property
    def place(self) -> str:
        """Where its params stand in a request: query, body or header."""
        return "query"

    @property
    def in_document(self) -> bool:
        """Whether it reads the JSON document, not only headers."""
        return self.more is not None

    def first_request(self) -> Params:
        """The parameters of the first request, in addition to the source's own."""
        return {}

    def told(self, page: Page, so_far: Progress) -> Told | None:
        """What an answer says about the next page, None after the last; `so_far` counts `page` already.

        Raises `SourceError` for an invalid cursor or link.
        """
        raise NotImplementedError

    def next_request(self, told: Told) -> Params | Link:
        """The request for the next page: params that replace those of the first request, or a link."""
        raise NotImplementedError

    def looked_for(self, page: Page) -> Mapping[str, bool]:
        """The fields that tell of the next page, and whether the answer has them; none if it is counted."""
        return {self.more: has(page.document, self.more)} if self.more else {}

    def says_more(self, page: Page) -> bool | None:
        """What `more` says, None if it says nothing; raises `SourceError` if it is no such field."""
        value = at(page.document, self.more) if self.more else None
        if isinstance(value, str):
            value = _WORDS.get(value.strip().lower(), value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float | Decimal):
            return value != 0
        raise SourceError(
            f"'{shown(value)}' under '{self.more}' does not say whether there is more: set 'more' right"
        )


class PlacedKind(PagingKind):
    """A kind whose parameters stand in the query, the body or the headers of a request."""

    sent: Literal["query", "body", "header"] = Field(default="query", alias="in")
    """Where the parameters stand; in a body they are dotted paths. Example: body"""

    @property
    def place(self) -> str:
        """As `in` says."""
        return self.sent


class OnePage(PagingKind):
    """The answer is not divided."""

    def told(self, page: Page, so_far: Progress) -> Told | None:
        """Nothing: there is no further page."""
        return None


class CursorPaging(PlacedKind):
    """The answer holds the cursor of the next page."""

    param: Column = "cursor"
    """The parameter that gets the cursor. Example: cursor"""
    path: str | None = None
    """The path (dotted) of the cursor in the answer; default: `next`. Example: meta.next"""
    header: str | None = None
    """The header that holds the cursor. Example: X-Next"""

    @model_validator(mode="after")
    def _path_or_header(self) -> CursorPaging:
        if self.path is not None and self.header is not None:
            raise ValueError("give either 'path' or 'header'")
        return self

    @property
    def in_document(self) -> bool:
        """Unless the cursor is in a header."""
        return self.header is None or super().in_document

    def told(self, page: Page, so_far: Progress) -> Told | None:
        """The cursor."""
        cursor = page.headers.get(self.header) if self.header else at(page.document, self._path)
        if _is_nothing(cursor):
            return None
        if isinstance(cursor, bool) or not isinstance(cursor, str | int | float | Decimal):
            raise SourceError(
                f"under '{self._path}' is a {type(cursor).__name__}, no cursor: check the source's paging"
            )
        try:
            str(cursor)
        except ValueError:
            raise SourceError("the cursor has thousands of digits: check the source's paging") from None
        return Told(cursor, f"cursor '{shown(cursor)}'")

    def next_request(self, told: Told) -> Params:
        """The cursor in its parameter."""
        return {self.param: told.value}

    def looked_for(self, page: Page) -> Mapping[str, bool]:
        """The cursor's field or header."""
        if self.header:
            return {self.header: self.header in page.headers, **super().looked_for(page)}
        return {self._path: has(page.document, self._path), **super().looked_for(page)}

    @property
    def _path(self) -> str:
        return "next" if self.path is None else self.path


class PagePaging(PlacedKind):
    """Pages are numbered, until an answer has no records."""

    is_counted: ClassVar[bool] = True
    param: Column = "page"
    """The parameter that gets the number. Example: p"""
    first: int = Field(default=1, ge=0)
    """The number of the first page. Example: 0"""
    size_param: Column | None = None
    """The parameter that asks for `size` records a page. Example: per_page"""
    size: int | None = Field(default=None, ge=1)
    """How many records are asked for in a page. Example: 500"""

    @model_validator(mode="after")
    def _both(self) -> PagePaging:
        if (self.size_param is None) != (self.size is None):
            raise ValueError("give 'size_param' and 'size' together")
        return self

    def first_request(self) -> Params:
        """The first number."""
        return self._numbered(self.first)

    def told(self, page: Page, so_far: Progress) -> Told | None:
        """The next number, until a page is empty."""
        return _counted(self, page, so_far, self.first + so_far.pages, self.size)

    def next_request(self, told: Told) -> Params:
        """The number in its parameter."""
        return self._numbered(told.value)

    def _numbered(self, number: int) -> Params:
        return {self.param: number, **({self.size_param: self.size} if self.size_param else {})}


class OffsetPaging(PlacedKind):
    """Records are skipped, until an answer has none."""

    is_counted: ClassVar[bool] = True
    param: Column = "offset"
    """The parameter that says how many records to skip. Example: start"""
    limit_param: Column = "limit"
    """The parameter that says how many to send. Example: count"""
    limit: int = Field(default=1000, ge=1)
    """How many records are sent at most."""

    def first_request(self) -> Params:
        """Nothing is skipped."""
        return self._skipping(0)

    def told(self, page: Page, so_far: Progress) -> Told | None:
        """How many records there were, until a page is empty."""
        return _counted(self, page, so_far, so_far.records, self.limit)

    def next_request(self, told: Told) -> Params:
        """The records to skip in their parameter."""
        return self._skipping(told.value)

    def _skipping(self, records: int) -> Params:
        return {self.param: records, self.limit_param: self.limit}


class LinkPaging(PagingKind):
    """The answer holds the address of the next page."""

    path: str = "next"
    """The path (dotted) of the address in the answer. Example: links.next"""

    @property
    def in_document(self) -> bool:
        """The link is in the document."""
        return True

    def told(self, page: Page, so_far: Progress) -> Told | None:
        """The link."""
        return _told_link(at(page.document, self.path))

    def next_request(self, told: Told) -> Link:
        """The link, to be followed."""
        return Link(told.value)

    def looked_for(self, page: Page) -> Mapping[str, bool]:
        """The link's field."""
        return {self.path: has(page.document, self.path), **super().looked_for(page)}


class HeaderPaging(PagingKind):
    """The next page's address is in the header `Link` with `rel="next"` (RFC 8288)."""

    def told(self, page: Page, so_far: Progress) -> Told | None:
        """The link."""
        for target, parameters in _LINK.findall(page.headers.get("Link", "")):
            relations = [quoted or plain for quoted, plain in _REL.findall(parameters)]
            if relations and "next" in relations[0].lower().split():
                return _told_link(target)
        return None

    def next_request(self, told: Told) -> Link:
        """The link, to be followed."""
        return Link(told.value)

    def looked_for(self, page: Page) -> Mapping[str, bool]:
        """The header."""
        return {"Link": "Link" in page.headers, **super().looked_for(page)}


PAGINGS: dict[str, type[PagingKind]] = {
    "cursor": CursorPaging,
    "page": PagePaging,
    "offset": OffsetPaging,
    "link": LinkPaging,
    "header": HeaderPaging,
}
"""The kinds of paging there are, by the name that stands in `pipeline.yaml`."""


class Paging(OneOf):
    """The kind of paging of an API; without one the answer is a single page."""

    config: SerializeAsAny[PagingKind]

    @classmethod
    def kinds(cls) -> Mapping[str, type[PagingKind]]:
        """The entries of `PAGINGS`."""
        return PAGINGS

    @classmethod
    def without_kind(cls) -> tuple[str, PagingKind]:
        """A single page."""
        return "", OnePage()


def _is_nothing(value: Any) -> bool:
    return value is None or value is False or value == ""


def _told_link(link: Any) -> Told | None:
    if _is_nothing(link):
        return None
    if not isinstance(link, str):
        raise SourceError("the link to the next page is no address: check the source's paging")
    return Told(link, "link to a page")


def _counted(kind: PagingKind, page: Page, so_far: Progress, number: int, size: int | None) -> Told | None:
    """The number of the next page, which is only a probe where the pages so far may be all there are."""
    if page.count == 0 and not kind.says_more(page):
        return None
    return Told(number, "page", _is_probe(size, page, so_far))


def _is_probe(size: int | None, page: Page, so_far: Progress) -> bool:
    """Whether the API may refuse the next page, because there need be none.

    It may after as many records as the total says or, without a total, after a page that is shorter than
    those before it or, if it is the first, than was asked for.
    """
    if so_far.total is not None:
        return so_far.records >= so_far.total
    expected = size if so_far.pages == 1 else so_far.largest
    return expected is not None and page.count < expected
