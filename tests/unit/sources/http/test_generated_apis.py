"""Generated APIs of every kind of paging, played against a model of what they served.

The outcome of a read is all rows once and in order, or an error of one line. Two faults that
leave no sign are counted apart (`unseen`). An API is drawn from a seed: its kind of paging, the sizes of its
pages (short, empty, capped),
how it writes a page without records, its cursors, its total, and at most one fault: a page comes twice, a
record comes or goes while it is read, an error with status 200, a field that is nowhere, a wrong total.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tenacity import wait_none

from evergreen.connections import Connection
from evergreen.errors import EvergreenError
from evergreen.sources.http import read as http
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.read import read_http
from tests.campaign import rounds, seed

COUNT = rounds(180, 2000)
KINDS = ["cursor", "page", "offset", "link", "header", "body"]
CURSORS: dict[str, Callable[[int], Any]] = {
    "text": lambda number: f"c {number}&",
    "number": lambda number: 2**53 + number,
    "decimal": lambda number: Decimal(f"{number}.50"),
}
FAULTS = ["", "", "", "", "repeated", "inserted", "deleted", "error", "absent field", "wrong total"]


@dataclass
class World:
    """One API: what it is like, what it has, and what it was asked."""

    chance: random.Random
    kind: str = ""
    size: int = 1
    fault: str = ""
    cursor: str = "text"
    has_more: bool = False
    with_total: bool = False
    empty_as: str = "list"
    at_end: str = "null"
    trap: int = 0
    rows: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    asked: int = 0
    struck: bool = False

    @classmethod
    def drawn(cls, number: int) -> World:
        chance = random.Random(seed(number))
        world = cls(chance, KINDS[number % len(KINDS)], chance.randint(1, 5), chance.choice(FAULTS))
        world.rows = list(range(chance.choice([0, 1, 2, 5, 9, 14])))
        world.cursor = chance.choice(list(CURSORS))
        world.has_more, world.with_total = chance.random() < 0.3, chance.random() < 0.5
        world.empty_as = chance.choice(["list", "null", "absent"])
        world.at_end = chance.choice(["null", "absent", "empty text", "repeated cursor"])
        world.trap = chance.randint(1, 3)
        world.lengths = world._lengths()
        return world

    def _lengths(self) -> list[int]:
        """The lengths of the pages; only cursors and links can have an empty one before the last."""
        lengths, left = [], len(self.rows)
        style = self.chance.choice(["full", "short", "capped"])
        cap = self.chance.randint(1, self.size)
        while left:
            least = 1 if self.kind in ("page", "offset", "body") else 0
            length = {"full": self.size, "capped": cap}.get(style, self.chance.randint(least, self.size))
            lengths.append(min(length, left))
            left -= lengths[-1]
        return lengths

    @property
    def described(self) -> dict[str, Any]:
        more = {"more": "meta.more"} if self.has_more else {}
        pagings: dict[str, Any] = {
            "cursor": {"cursor": {"path": "meta.next", **more}},
            "page": {"page": {"size_param": "size", "size": self.size, **more}},
            "offset": {"offset": {"limit": self.size, **more}},
            "link": {"link": {"path": "meta.next", **more}},
            "header": {"header": more},
            "body": {"offset": {"in": "body", "param": "a.skip", "limit": self.size, **more}},
        }
        total = {"total": "meta.total"} if self.with_total else {}
        method = {"method": "POST"} if self.kind == "body" else {}
        params = {} if self.kind in ("page", "offset", "body") else {"params": {"limit": str(self.size)}}
        return {
            "paging": pagings[self.kind],
            "types": {"money": "decimal(9, 2)"},
            **total,
            **method,
            **params,
        }

    def answer(self, asked: dict[str, str], body: Any) -> tuple[Any, dict[str, str]]:
        self.asked += 1
        index, begin = self._place(asked, body)
        self._strike()
        if self.fault == "error" and self.asked == self.trap + 1:
            self.struck = True
            return {"error": {"message": "busy"}}, {}
        if self.fault == "repeated" and self.asked == self.trap + 1 and index:
            self.struck = True
            begin -= self.lengths[index - 1] if index <= len(self.lengths) else 0
        length = self.lengths[index] if index < len(self.lengths) else 0
        if self.kind in ("page", "offset", "body") and self.struck and self.fault in ("inserted", "deleted"):
            length = self.size if begin < len(self.rows) else 0
        records = self.rows[begin : begin + length]
        return self._page(index, records)

    def _place(self, asked: dict[str, str], body: Any) -> tuple[int, int]:
        if self.kind in ("offset", "body"):
            begin = int(body["a"]["skip"] if self.kind == "body" else asked["offset"])
            done, index = 0, 0
            while index < len(self.lengths) and done < begin:
                done, index = done + self.lengths[index], index + 1
            return index, begin
        if self.kind == "page":
            index = int(asked["page"]) - 1
        elif self.kind == "cursor":
            told = asked.get("cursor")
            index = 0
            while told is not None and told != str(CURSORS[self.cursor](index)):
                index += 1
        else:
            index = int(asked.get("part", "0"))
        return index, sum(self.lengths[:index])

    def _strike(self) -> None:
        """Let a record come or go in front of those that were read."""
        if self.fault in ("inserted", "deleted") and self.asked == self.trap + 1 and len(self.rows) > 1:
            counted = self.kind in ("page", "offset", "body") and len(set(self.lengths[:-1])) <= 1
            self.struck = counted
            if counted and self.fault == "inserted":
                self.rows.insert(0, 1000)
            elif counted:
                self.rows.pop(0)

    def _page(self, index: int, numbers: list[int]) -> tuple[Any, dict[str, str]]:
        is_last = index + 1 >= len(self.lengths) and self.fault not in ("inserted", "deleted")
        is_last = is_last or index >= len(self.lengths)
        meta: dict[str, Any] = {}
        if self.kind in ("cursor", "link"):
            following = self._following(index, is_last, bool(numbers))
            if following != "absent":
                meta["next"] = following
        if self.has_more and self.kind in ("cursor", "link", "header"):
            meta["more"] = not is_last
        if self.with_total:
            meta["total"] = len(self.rows) + (self.fault == "wrong total")
        document: dict[str, Any] = {"meta": meta, "data": [{"n": n, "money": f"{n}.25"} for n in numbers]}
        if not numbers and self.empty_as == "null" and index:
            document["data"] = None
        elif not numbers and self.empty_as == "absent" and index:
            del document["data"]
        link = self.kind == "header" and not is_last
        return document, {"Link": f'</v1?part={index + 1}>; rel="next"'} if link else {}

    def _following(self, index: int, is_last: bool, has_records: bool) -> Any:
        if self.fault == "absent field":
            return "absent"
        if is_last:
            if self.at_end == "repeated cursor" and self.kind == "cursor" and self.has_more:
                return CURSORS[self.cursor](index + 1)
            return {"absent": "absent", "empty text": ""}.get(self.at_end)
        return CURSORS[self.cursor](index + 1) if self.kind == "cursor" else f"/v1?part={index + 1}"


class Played(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    worlds: list[World]

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        length = int(self.headers.get("Content-Length", 0))
        document, headers = self.worlds[0].answer(query, json.loads(self.rfile.read(length) or "null"))
        text = json.dumps(document, default=_as_written).replace('"\\u0000', "").replace('\\u0000"', "")
        body = text.encode()
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


def _as_written(number: Decimal) -> str:
    """A decimal between marks that are taken out of the text with their quotes."""
    return f"\0{number}\0"


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[World], Connection]]:
    monkeypatch.setattr(http, "BACKOFF", wait_none())
    worlds: list[World] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Now", (Played,), {"worlds": worlds}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield worlds, Connection("api", "http", f"http://127.0.0.1:{server.server_address[1]}")
    server.shutdown()
    thread.join()
    server.server_close()


def must_be_read(world: World) -> bool:
    """Whether an API is right, so that an error would be wrong.

    One that leaves the field of the next page out is refused if its only page is full: see the record of
    decisions on the end of paging.
    """
    left_out = world.kind == "header" or world.at_end == "absent"
    alone = world.kind in ("cursor", "link", "header") and len(world.lengths) == 1
    return not world.fault and not (left_out and alone and world.lengths[0] == world.size)


def unseen(world: World) -> bool:
    """Whether a fault leaves no sign: a deletion without a total, or a field that is nowhere, unannounced."""
    if world.fault == "deleted":
        return not world.with_total
    if world.fault == "absent field" and world.kind in ("cursor", "link"):
        return not world.with_total and not world.has_more and world.lengths[:1] != [world.size]
    return False


def test_no_api_loses_or_doubles_a_row_in_silence(played: Any, tell: Callable[[str], None]) -> None:
    worlds, connection = played
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    for number in range(COUNT):
        world = World.drawn(number)
        worlds[:] = [world]
        source = HttpSource(conn_id="api", path="/v1", **world.described)
        try:
            table = read_http(source, connection, "2024-01-01").table()
        except EvergreenError as error:
            outcomes["errors"] += 1
            if must_be_read(world) or "\n" in str(error):
                wrong.append(f"{number}: refused: {error} {world}")
            continue
        found = [int(n) for n in table["n"].to_pylist()] if table.num_columns else []
        doubled = len(found) - len(set(found))
        lost = set(world.rows) - set(found) - {1000}
        outcomes["rows"] += not lost and not doubled
        if (lost or doubled) and unseen(world):
            outcomes["lost where nothing tells"] += 1
        elif lost or doubled or found != sorted(found):
            outcomes["lost"] += bool(lost)
            outcomes["doubled"] += bool(doubled)
            wrong.append(f"{number}: {found} {world}")
    tell(
        f"{COUNT} generated APIs of {len(KINDS)} kinds: {dict(outcomes)}; {outcomes['lost']} lost, "
        f"{outcomes['doubled']} doubled, {len(wrong)} wrong"
    )
    assert not wrong, "\n".join(wrong[:5])
    assert outcomes["rows"] > COUNT / 2
    assert outcomes["errors"] > COUNT / 20
