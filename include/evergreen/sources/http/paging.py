"""The kinds of paging: how an API divides its answer into pages, and where the next page is. Pure.

A kind is a class with three methods and its entry in `PAGINGS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field, SerializeAsAny, model_validator

from evergreen.description import Described, OneOf
from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.http.document import at
from evergreen.units import Column

Params = Mapping[str, str]
"""Parameters of a request's query."""

_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[^\s;,="]+\s*(?:=\s*(?:"[^"]*"|[^\s;,"]*))?)*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]*))', re.IGNORECASE)


@dataclass
class Progress:
    """The progress of a read: all that is needed to resume after its last good page.

    `address` is the next page's, None after the last one; `records` includes rejected ones;
    `largest` is the largest number of records on a page. `probe`: the next page is requested only to check
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
    """The input of paging: the number of records, the document of a JSON answer, its headers and its URL."""

    count: int
    document: Any
    headers: Mapping[str, str]
    url: str


@dataclass(frozen=True)
class Told:
    """What an answer says about the next page.

    `value` is a cursor, a number or a link, `words` name it in an error. `probe`: that page is requested
    only to check that there is none, and the API may refuse it.
    """

    value: str
    words: str
    probe: bool = False


@dataclass(frozen=True)
class Link:
    """The next page's address as the API gave it, relative to the page that it stands on."""

    target: str


class PagingKind(Described):
    """A kind of paging. `in_document`: it reads the JSON document, not a header."""

    in_document: ClassVar[bool] = False

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


class OnePage(PagingKind):
    """The answer is not divided."""

    def told(self, page: Page, so_far: Progress) -> Told | None:
        """Nothing: there is no further page."""
        return None


class CursorPaging(PagingKind):
    """The answer holds, under `path` (dotted), the value of the query parameter `param` of the next page."""

    in_document: ClassVar = True
    param: Column = "cursor"
    path: str = "next"

    def told(self, page: Page, so_far: Progress) -> Told | None:
        """The cursor."""
        cursor = at(page.document, self.path)
        if _is_nothing(cursor):
            return None
        if isinstance(cursor, bool) or not isinstance(cursor, str | int | float | Decimal):
            raise SourceError(
                f"under '{self.path}' is a {type(cursor).__name__}, no cursor: check the source's paging"
            )
        try:
            return Told(str(cursor), f"cursor '{shown(cursor)}'")
        except ValueError:
            raise SourceError("the cursor has thousands of digits: check the source's paging") from None

    def next_request(self, told: Told) -> Params:
        """The cursor in its parameter."""
        return {self.param: told.value}


class PagePaging(PagingKind):
    """Pages are numbered: `param` counts up from `first`; an answer without records is the end.

    `size_param` asks for `size` records a page, and a page with fewer of them is the last.
    """

    param: Column = "page"
    first: int = Field(default=1, ge=0)
    size_param: Column | None = None
    size: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _both(self) -> PagePaging:
        if (self.size_param is None) != (self.size is None):
            raise ValueError("give 'size_param' and 'size' together")
        return self

    def first_request(self) -> Params:
        """The first number."""
        return self._numbered(str(self.first))

    def told(self, page: Page, so_far: Progress) -> Told | None:
        """The next number, until a page is empty or, where a size is asked for, short."""
        if page.count == 0 or (self.size is not None and page.count < so_far.largest):
            return None
        return Told(str(self.first + so_far.pages), "page", _is_probe(self.size, page, so_far))

    def next_request(self, told: Told) -> Params:
        """The number in its parameter."""
        return self._numbered(told.value)

    def _numbered(self, number: str) -> Params:
        return {self.param: number, **({self.size_param: str(self.size)} if self.size_param else {})}


class OffsetPaging(PagingKind):
    """`param` is how many records to skip, `limit_param` how many to send; a shorter page is the last."""

    param: Column = "offset"
    limit_param: Column = "limit"
    limit: int = Field(default=1000, ge=1)

    def first_request(self) -> Params:
        """Nothing is skipped."""
        return self._skipping("0")

    def told(self, page: Page, so_far: Progress) -> Told | None:
        """How many records there were, until a page is empty or short."""
        if page.count == 0 or page.count < so_far.largest:
            return None
        return Told(str(so_far.records), "page", _is_probe(self.limit, page, so_far))

    def next_request(self, told: Told) -> Params:
        """The records to skip in their parameter."""
        return self._skipping(told.value)

    def _skipping(self, records: str) -> Params:
        return {self.param: records, self.limit_param: str(self.limit)}


class LinkPaging(PagingKind):
    """The answer holds, under `path` (dotted), the address of the next page."""

    in_document: ClassVar = True
    path: str = "next"

    def told(self, page: Page, so_far: Progress) -> Told | None:
        """The link."""
        return _told_link(at(page.document, self.path))

    def next_request(self, told: Told) -> Link:
        """The link, to be followed."""
        return Link(told.value)


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


def _is_probe(size: int | None, page: Page, so_far: Progress) -> bool:
    """Whether a numbered page is requested only to check that there is none.

    It is after a first page that is shorter than asked for (the API may keep to a smaller size than was
    asked), and after as many records as the total says.
    """
    short = size is not None and so_far.pages == 1 and page.count < size
    return short or (so_far.total is not None and so_far.records >= so_far.total)
