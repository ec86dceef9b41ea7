"""A look at an API: one answer, in JSON, JSON lines or CSV."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from evergreen.calendar import SNAPSHOT
from evergreen.connections import Connect, Connection
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.sources import Source
from evergreen.sources.attempts import ATTEMPTS, BACKOFF
from evergreen.sources.http.address import with_params
from evergreen.sources.http.client import Answer, Session, api_of
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.paging import Paging
from evergreen.sources.http.progress import Request
from evergreen.sources.http.read import read_http
from evergreen.sources.look.compose import Material, composed
from evergreen.sources.look.description import source_name
from evergreen.sources.look.found import Look
from evergreen.sources.look.sample import take
from evergreen.sources.look.sniff.answer import sniff_document
from evergreen.sources.look.sniff.dialect import sniff_csv

_SECONDS = 60
_MOST_BYTES = 64 * 2**20
_ACCEPT = "application/json, text/csv;q=0.9, */*;q=0.1"
_ONE_PAGE = Paging.model_validate({})


def look_at_api(conn_id: str, address: str, most: int, connect: Connect) -> Look:
    """What one answer of an API to a GET of the address (path and query) holds.

    Raises `SourceError` for an answer that holds no records, and as `read_http` does.
    """
    connection = connect(conn_id)
    path, _, query = address.partition("?")
    params = dict(parse_qsl(query, keep_blank_values=True))
    answer = _asked(connection, path, params)
    material = Material(
        f"{conn_id} {address}, one answer",
        source_name(path.rstrip("/").rpartition("/")[2]),
        "http",
        {"conn_id": conn_id, "path": path, **({"params": params} if params else {})},
        partial(_first_page, connection=connection),
        most,
        has_types=False,
        is_whole=False,
    )
    return composed(_as_answered(material, answer))


def look_at_pages(conn_id: str, address: str, most: int, connect: Connect) -> Look:
    """As `look_at_api`, with the rows of all pages, at most so many: one page tells too little of history."""
    found = look_at_api(conn_id, address, most, connect)
    described = HttpSource.model_validate(found.config)
    taken = take(read_http(described, connect(conn_id), SNAPSHOT), most)
    return replace(found, sample=taken.rows, rows=taken.rows.num_rows, is_whole=taken.is_whole)


def _asked(connection: Connection, path: str, params: Mapping[str, str]) -> Answer:
    api = api_of(connection, {"Accept": _ACCEPT})
    deadline = time.monotonic() + _SECONDS
    with Session(api, path, deadline, ATTEMPTS, BACKOFF) as session:
        answer = session.ask(Request(with_params(api.address(path), params)), _MOST_BYTES, lambda one: one)
    assert answer is not None  # it is no probe
    return answer


def _as_answered(material: Material, answer: Answer) -> Material:
    """The material with what the answer tells of its format."""
    document, lines = _json(answer.body), answer.body.splitlines()
    if document is not None:
        shape = sniff_document(document, answer.headers)
        return replace(material, config={**material.config, **shape.config}, unsure=shape.doubts)
    if lines and isinstance(_json(lines[0]), dict):
        return replace(material, config={**material.config, "format": "json_lines"})
    if answer.body.lstrip()[:1] in (b"<", b"{", b"["):
        raise SourceError(f"{material.source} is neither JSON nor CSV: ask for another path or query")
    csv = replace(material, config={**material.config, "format": "csv"})
    return csv.written(sniff_csv(material.source, answer.body, is_cut=False))


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _first_page(source: Source, connection: Connection) -> Rows:
    """The rows of the first page by the description: all pages may be many."""
    config = source.config
    assert isinstance(config, HttpSource)
    return read_http(config.model_copy(update={"paging": _ONE_PAGE}), connection, SNAPSHOT)
