"""Requests for pages: path and query on the API's host, such as `/v1/hourly?day=2011-01-01&page=2`. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import msgspec

from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.http.document import put
from evergreen.sources.http.paging import PagingKind, Params
from evergreen.sources.http.progress import Link, Page, Progress, Request

_JSON = msgspec.json.Encoder(decimal_format="number")


def first_page(
    paging: PagingKind,
    path: str,
    params: Mapping[str, str],
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Request:
    """The request for the first page; one with a body is a POST. Its headers are those beside the API's."""
    text = None if body is None else _json(body)
    request = Request(with_params(path, params), text, dict(headers or {}))
    return asking(request, paging.first_request(), paging.place)


def next_page(paging: PagingKind, first: Request, so_far: Progress, page: Page) -> Request | None:
    """The page after `page`, None after the last; `so_far` counts `page` already, `first` was the first one.

    An empty page that asks for itself again is the last one. Raises `SourceError` for an invalid cursor or
    link, a link to another host, a page that was read before, and for `more` without a next page.
    """
    more = paging.says_more(page)
    if more is False:
        return None
    told = paging.told(page, so_far)
    if told is None:
        if more:
            raise SourceError(
                f"'{paging.more}' says that there is more, and the answer does not say where: check the "
                "source's paging"
            )
        return None
    request = paging.next_request(told)
    if isinstance(request, Link):
        following = replace(first, address=followed(request, page.url))
    else:
        following = asking(first, request, paging.place)
    if following.identity in so_far.seen:
        if not page.count and not more and following.identity == next(reversed(so_far.seen)):
            return None
        raise SourceError(f"the {told.words} came twice: the API's paging is broken, tell its owner")
    return replace(following, probe=told.probe)


def asking(request: Request, params: Params, place: str) -> Request:
    """The request with these parameters in its query, body or headers, replacing those of the same names."""
    if not params:
        return request
    if place == "query":
        texts = {name: str(value) for name, value in params.items()}
        return replace(request, address=with_params(request.address, texts))
    if place == "header":
        texts = {name: str(value) for name, value in params.items()}
        if any(not text.isascii() or not text.isprintable() for text in texts.values()):
            raise SourceError("the cursor cannot be sent in a header: check the source's paging")
        return replace(request, headers={**request.headers, **texts})
    body = json.loads(request.body or "{}")
    for name, value in params.items():
        body = put(body, name, value)
    return replace(request, body=_json(body))


def _json(body: Mapping[str, Any]) -> str:
    try:
        return _JSON.encode(body).decode()
    except (UnicodeError, msgspec.MsgspecError):
        raise SourceError("the request's body is no JSON: check the source's body and paging") from None


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
