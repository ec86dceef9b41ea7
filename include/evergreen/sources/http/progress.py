"""A read of pages: its requests, its pages, what they say of the next one, and how far it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """The request for a page: its address (path and query), headers of its own, and the JSON text of a POST.

    `probe`: the page is requested only to check that there is none, and the API may refuse it.
    """

    address: str
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    probe: bool = False

    @property
    def identity(self) -> str:
        """A text that is the same for requests that ask for the same page."""
        headers = [f"{name}: {value}" for name, value in sorted(self.headers.items())]
        return "\n".join([self.address, *headers, *([] if self.body is None else [self.body])])


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
    only to check that there is none.
    """

    value: Any
    words: str
    probe: bool = False


@dataclass(frozen=True)
class Link:
    """The next page's address as the API gave it, relative to the page that it stands on."""

    target: str


@dataclass
class Progress:
    """The progress of a read: all that is needed to resume after its last good page.

    `request` is the next page's, None after the last one; `records` includes rejected ones; `largest` is the
    largest number of records on a page, `total` the last total and `most` the largest. `held`: the field of
    the next page was on some page; `keys` are those of the pages that had the records. `seen` has for each
    request so far the digest of its records, None if there was none.
    """

    request: Request | None
    pages: int = 0
    records: int = 0
    bytes: int = 0
    largest: int = 0
    total: int | None = None
    most: int | None = None
    held: bool = False
    keys: tuple[str, ...] | None = None
    seen: dict[str, str | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The progress as a JSON value."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Progress:
        """The progress that `to_dict` wrote."""
        request, keys = value["request"], value["keys"]
        return cls(
            **{
                **value,
                "request": None if request is None else Request(**request),
                "keys": None if keys is None else tuple(keys),
            }
        )
