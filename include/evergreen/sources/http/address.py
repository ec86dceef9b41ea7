"""Addresses of pages: path and query on the API's host, such as `/v1/hourly?day=2011-01-01&page=2`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.http.paging import Link, Page, PagingKind, Progress


@dataclass(frozen=True)
class NextPage:
    """The address of the next page; `probe`: it is requested only to check that there is none."""

    address: str
    probe: bool = False


def first_page(paging: PagingKind, path: str, params: Mapping[str, str]) -> str:
    """The address of the first page."""
    return with_params(path, {**params, **paging.first_request()})


def next_page(paging: PagingKind, first: str, so_far: Progress, page: Page) -> NextPage | None:
    """The page after `page`, None after the last; `so_far` counts `page` already, `first` was the first one.

    Raises `SourceError` for an invalid cursor or link, a link to another host, and a page that was read
    before.
    """
    told = paging.told(page, so_far)
    if told is None:
        return None
    request = paging.next_request(told)
    address = followed(request, page.url) if isinstance(request, Link) else with_params(first, request)
    if address in so_far.seen:
        raise SourceError(f"the {told.words} came twice: the API's paging is broken, tell its owner")
    return NextPage(address, told.probe)


def followed(link: Link, page_url: str) -> str:
    """The address of a link on a page; raises `SourceError` for an invalid link or another host."""
    here = httpx.URL(page_url)
    try:
        there = here.join(link.target)
        if not there.host and there.scheme not in ("http", "https"):
            raise _no_address()
        raw = there.raw_path.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        raise _no_address() from None
    if (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port):
        raise SourceError(
            f"the next page is at {there.scheme}://{shown(there.host)}, which is not followed, because the "
            "key must not be sent elsewhere: put that address into the connection if it is right"
        )
    return raw


def with_params(address: str, params: Mapping[str, str]) -> str:
    """The address with these parameters in its query, replacing those of the same names."""
    try:
        url = httpx.URL(f"http://api{address}")  # an address of two slashes would name a host
        return url.copy_merge_params(dict(params)).raw_path.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        raise SourceError("the next page's address is too long or no address: check the paging") from None


def _no_address() -> SourceError:
    return SourceError("the link to the next page is no address: check the source's paging")
