"""The first request for each combination of the values of `for_each`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.http.address import first_page
from evergreen.sources.http.client import Api
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.for_each import Combination
from evergreen.sources.http.progress import Request
from evergreen.sources.placeholders import Window, filled, filled_json, filled_texts, placeholders


@dataclass(frozen=True)
class Asked:
    """A chain of requests, one for each page: the values that it is for, and the first request."""

    chosen: Combination
    first: Request


def common_headers(source: HttpSource) -> dict[str, str]:
    """The headers of the source that are the same for all values."""
    return {name: text for name, text in source.headers.items() if not _varies(source, text)}


def asked_for(source: HttpSource, api: Api, window: Window, chosen: Combination) -> Asked:
    """The chain of requests for a combination of values.

    In the path a value is quoted, so that it never leads to another path; a header of the connection wins
    over the source's. Raises `SourceError` for a value that cannot be sent.
    """
    window = replace(window, values=chosen)
    for name, value in chosen.items():
        if value in (".", "..") and name in placeholders(source.path):
            raise SourceError(f"the value '{value}' of '{name}' cannot stand in a path: leave it out")
    quoted = replace(window, values={name: quote(str(value), safe="") for name, value in chosen.items()})
    body = filled_json(source.body or {}, window) if source.method == "POST" else None
    address = api.address(filled(source.path, quoted))
    params = filled_texts(source.params, window)
    return Asked(
        chosen, first_page(source.paging.config, address, params, body, _headers(source, api, window))
    )


def _headers(source: HttpSource, api: Api, window: Window) -> Mapping[str, str]:
    own = {name: text for name, text in source.headers.items() if _varies(source, text)}
    found = filled_texts({name: text for name, text in own.items() if name not in api.headers}, window)
    if unfit := [text for text in found.values() if not (text.isascii() and text.isprintable())]:
        raise SourceError(f"'{shown(unfit[0])}' cannot be sent in a header: leave that value out")
    return found


def _varies(source: HttpSource, text: str) -> bool:
    return any(name in source.for_each for name in placeholders(text))
