"""An API of eight stores, each with pages of sales, and the source that asks it store by store."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from evergreen.connections import Connection
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.for_each import combinations
from evergreen.sources.http.read import read_http
from tests.http_peers import Asked, Peer, Said

DAY = "2024-01-01"
STORES = list(range(1, 9))
PAGES = 4


def source(**changes: Any) -> HttpSource:
    values = {
        "conn_id": "shop_api",
        "path": "/stores/{store}/sales",
        "for_each": {"store": STORES},
        "next": "cursor",
    }
    if "paging" in changes:
        del values["next"]
    return HttpSource.model_validate({**values, **changes})


def read(peer: Peer, described: HttpSource, checkpoint: Any = None) -> Any:
    values = combinations(described.for_each)  # type: ignore[arg-type] - lists, in these tests
    connection = Connection("shop_api", "http", peer.address())
    return read_http(described, connection, DAY, checkpoint, values=values)


def a_page(store: int, number: int) -> dict[str, Any]:
    """The third store has no sales; the fields differ from store to store."""
    if store == 3:
        return {"data": [], "next": None}
    sales = [
        {"sale": f"{store}-{number}-{at}", "n": number * 2 + at, f"only_{store % 3}": True} for at in (0, 1)
    ]
    return {"data": sales, "next": str(number + 1) if number + 1 < PAGES else None}


def parts(asked: Asked) -> tuple[int, int]:
    """The store and the page that a request asks for."""
    url = urlsplit(asked.path)
    return int(url.path.split("/")[2]), int(parse_qs(url.query).get("cursor", ["0"])[0])


def shop(asked: Asked) -> Said:
    return Said(body=json.dumps(a_page(*parts(asked))).encode())


SALES = [f"{s}-{n}-{at}" for s in STORES if s != 3 for n in range(PAGES) for at in (0, 1)]
