"""The API says no, stumbles, or answers nonsense: what is asked again, and what is told."""

from __future__ import annotations

import gzip
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, cycle
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import Response
from tenacity import wait_none

from evergreen.connections import Connection
from evergreen.errors import EvergreenError, NotFoundError, RefusedError, SourceError, UnavailableError
from evergreen.ingestion.checkpoint import StagedCheckpoint
from evergreen.ingestion.stage import ingest
from evergreen.sources.http import client as http_client
from evergreen.sources.http import pages as http_pages
from evergreen.sources.http import read as http
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.read import read_http
from evergreen.staging import Staging
from tests.campaign import rounds, seed

DAYS = ["2011-01-01", "2011-01-02", "2011-01-03"]
PAGES = 3  # of ten hours each make a day


class TestTheApiMisbehaves:
    @pytest.mark.parametrize(
        ("status", "remedy"),
        [(401, "check the key or password"), (404, "check the connection's host and the source's path")],
    )
    def test_a_no_is_asked_once_and_says_what_to_do(self, world, weather, status, remedy):
        weather.script = [Response(status_code=status)]
        with pytest.raises(
            SourceError, match=f"^bike_demand 2011-01-01: source 'weather': .*{status}: {remedy}"
        ):
            world.night(DAYS[0])
        assert len(weather.asked) == 1
        assert world.pipeline.lake.partitions() == []

    def test_a_wrong_key_is_not_repeated_in_the_message(self, world, weather):
        wrong = replace(world.connections["weather_api"], password="wr0ng-secret")
        world.connections["weather_api"] = wrong
        with pytest.raises(SourceError, match="answered 401") as told:
            ingest(world.pipeline, DAYS[:1])
        assert "wr0ng-secret" not in str(told.value)

    def test_too_many_requests_then_well(self, world, weather):
        weather.script = [Response(status_code=429, headers={"Retry-After": "1"})]
        begun = time.monotonic()
        assert world.night(DAYS[0]).rows == 24
        assert time.monotonic() - begun >= 1
        assert len(weather.asked) == PAGES + 1

    def test_500_thrice_then_well(self, world, weather):
        weather.script = [Response(status_code=500) for _ in range(3)]
        assert world.night(DAYS[0]).rows == 24
        assert len(weather.asked) == PAGES + 3

    def test_500_for_good_is_a_matter_for_a_retry_of_the_task(self, world, weather):
        weather.script = [Response(status_code=500) for _ in range(50)]
        with pytest.raises(
            UnavailableError, match=r"source 'weather': /v1/hourly: the API answered 500, 5 times"
        ):
            ingest(world.pipeline, DAYS[:1])
        assert len(weather.asked) == http.ATTEMPTS

    def test_half_a_document_is_asked_for_again(self, world, weather):
        weather.script = [Response('{"data": [{"hour": "2011-01', media_type="application/json")]
        assert world.night(DAYS[0]).rows == 24
        assert len(weather.asked) == PAGES + 1

    def test_an_empty_page_refuses_the_day(self, world, weather):
        weather.days[DAYS[1]] = []
        with pytest.raises(RefusedError, match=r"^bike_demand 2011-01-02: source 'weather' gave no rows"):
            world.night(DAYS[1])
        assert len(weather.asked) == 1

    def test_a_cursor_that_loops(self, world, weather):
        records = weather.days[DAYS[0]]
        weather.script = [weather.json({"data": records[n : n + 1], "next": "x"}) for n in range(2)]
        with pytest.raises(SourceError, match="cursor 'x' came twice"):
            world.night(DAYS[0])
        assert len(weather.asked) == 2

    def test_a_redirect_elsewhere_is_not_followed(self, world, weather):
        weather.script = [Response(status_code=302, headers={"Location": "http://localhost:9/steal"})]
        with pytest.raises(SourceError, match="redirects to http://localhost, which is not followed"):
            world.night(DAYS[0])
        assert len(weather.asked) == 1

    def test_an_hour_that_comes_twice_breaks_the_promised_join(self, world, weather):
        weather.days[DAYS[0]].append(weather.days[DAYS[0]][3])
        with pytest.raises(RefusedError, match=r"source 'weather': 1 values of hour .*2011-01-01 03:00:00"):
            world.night(DAYS[0])

    def test_a_column_gone_or_of_another_type(self, world, weather):
        ingest(world.pipeline, DAYS[:1])
        for record in weather.days[DAYS[1]]:
            del record["humidity"]
        for record in weather.days[DAYS[2]]:
            record["humidity"] = "wet"
        with pytest.raises(RefusedError) as told:
            ingest(world.pipeline, DAYS)
        assert "bike_demand 2011-01-02: column 'humidity' is missing" in str(told.value)
        unread = (
            "source 'weather' gave no rows: 24 records were rejected, the first (page 1, record 1): field "
        )
        assert f"bike_demand 2011-01-03: {unread}'humidity': 'wet' is no float" in str(told.value)
        assert world.pipeline.lake.partitions() == DAYS[:1]


KEY = "s3cret-key"
SCENARIOS = rounds(0, 220)  # mixed at random, after each misbehaviour once
SIZE = 5
COUNT = 23  # records, so that the last page is short
RECORDS = [
    {"id": n, "at": f"2011-01-01T{n:02}:00:00Z", "name": f"name {n}", "free": n % 2 == 0}
    for n in range(COUNT)
]
BY_LINK = {"link": {}, "header": {}}
KINDS = {
    "cursor": {"paging": {"cursor": {}}, "total": "total"},
    "page": {"paging": {"page": {"size_param": "size", "size": SIZE}}, "total": "total"},
    "offset": {"paging": {"offset": {"limit": SIZE}}, "total": "total"},
    "link": {"paging": {"link": {}}, "total": "total"},
    "header": {"paging": {"header": {}}, "total": "total"},
    "json_lines": {"paging": {"header": {}}, "format": "json_lines"},
    "csv": {"paging": {"header": {}}, "format": "csv"},
}


@dataclass
class Hostile:
    """What the API has been told to play, one misbehaviour a request at the most, and what it has played."""

    kind: str = ""
    plan: list[str] = field(default_factory=list)
    chance: random.Random = field(default_factory=random.Random)
    played: Counter[str] = field(default_factory=Counter)
    address: str = ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    hostile: Hostile

    def do_GET(self) -> None:
        hostile, query = self.hostile, parse_qs(urlsplit(self.path).query)
        assert self.headers["Authorization"] == f"Bearer {KEY}"
        number = int(query.get("offset", ["0"])[0]) // SIZE or int(query.get("page", ["1"])[0]) - 1
        number = int(query.get("cursor", query.get("part", [str(number)]))[0])
        if hostile.plan and hostile.chance.random() < 0.5:
            name = hostile.plan.pop()
            if MISBEHAVIOURS[name](self, number):
                hostile.played[name] += 1
                return
            hostile.plan.insert(0, name)
        self.send(self.body(number), self.links(number))

    def body(self, number: int, **changes: object) -> bytes:
        records = changes.pop("data", RECORDS[number * SIZE : (number + 1) * SIZE])
        if self.hostile.kind == "json_lines":
            return "".join(json.dumps(record) + "\n" for record in records).encode()
        if self.hostile.kind == "csv":
            lines = [",".join(str(value) for value in record.values()) for record in records]
            return "\n".join([",".join(RECORDS[0]), *lines, ""]).encode()
        following = number + 1 if (number + 1) * SIZE < COUNT else None
        if following is not None:
            following = f"/v1?part={following}" if self.hostile.kind == "link" else str(following)
        return json.dumps({"total": COUNT, "next": following, "data": records, **changes}).encode()

    def links(self, number: int) -> dict[str, str]:
        return {"Link": f'</v1?part={number + 1}>; rel="next"'} if (number + 1) * SIZE < COUNT else {}

    def send(self, body: bytes = b"", headers: dict | None = None, status: int = 200, length=None) -> bool:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if length != "none":
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = length is not None
        return True

    def log_message(self, *_: object) -> None:
        pass


def status(code: int, **headers: str) -> Callable[[Handler, int], bool]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda api, number: api.send(b"s3cret-key", named, code)


def document(**changes: object) -> Callable[[Handler, int], bool]:
    """A whole page that holds something odd; of JSON answers only."""
    return lambda api, number: (
        "format" not in KINDS[api.hostile.kind] and api.send(api.body(number, **changes), api.links(number))
    )


def coded(coding: str, body: Callable[[bytes], bytes]) -> Callable[[Handler, int], bool]:
    return lambda api, number: api.send(
        body(api.body(number)), {**api.links(number), "Content-Encoding": coding}
    )


def instead(change: Callable[[bytes], bytes]) -> Callable[[Handler, int], bool]:
    return lambda api, number: (
        "format" not in KINDS[api.hostile.kind] and api.send(change(api.body(number)), api.links(number))
    )


def reset(api: Handler, number: int) -> bool:
    api.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    api.close_connection = True
    api.connection.close()
    return True


def hang_up(api: Handler, number: int) -> bool:
    api.close_connection = True
    return True


def cut_short(api: Handler, number: int) -> bool:
    body = api.body(number)
    return api.send(body[: len(body) // 2], api.links(number), length=len(body))


def broken_chunks(api: Handler, number: int) -> bool:
    head = {"Transfer-Encoding": "chunked", **api.links(number)}
    return api.send(b"10\r\n" + api.body(number)[:16] + b"\r\nzz\r\n", head, length="none")


def silent(api: Handler, number: int) -> bool:
    api.connection.settimeout(5)
    api.close_connection = True
    api.connection.recv(1)  # until the reader hangs up
    return True


def drips(api: Handler, number: int) -> bool:
    api.connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    api.close_connection = True
    try:
        for _ in range(1000):
            api.connection.sendall(b"x")
            time.sleep(0.01)
    except OSError:
        pass
    return True


def page_twice(api: Handler, number: int) -> bool:
    return number > 0 and api.send(api.body(number - 1), api.links(number))


def cursor_back(api: Handler, number: int) -> bool:
    return number > 1 and api.hostile.kind == "cursor" and api.send(api.body(number, next="1"))


def link_back(api: Handler, number: int) -> bool:
    back = {"Link": '</v1?part=1>; rel="next"'}
    return number > 1 and api.hostile.kind in BY_LINK and api.send(api.body(number, next="/v1?part=1"), back)


def link_elsewhere(api: Handler, number: int) -> bool:
    there = f"http://localhost:{api.server.server_address[1]}/v1"
    return api.hostile.kind in BY_LINK and api.send(
        api.body(number, next=there), {"Link": f'<{there}>; rel="next"'}
    )


def no_content(api: Handler, number: int) -> bool:
    # Nobody can tell that the first page's 204 is a lie, or that of an answer without a total.
    return number > 0 and "total" in KINDS[api.hostile.kind] and api.send(status=204)


def wrong_total(api: Handler, number: int) -> bool:
    last = (number + 1) * SIZE >= COUNT
    return last and "total" in KINDS[api.hostile.kind] and api.send(api.body(number, total=COUNT - 1))


def no_record(api: Handler, number: int) -> bool:
    return api.hostile.kind == "json_lines" and api.send(
        b"[7]\n{oops\n" + api.body(number), api.links(number)
    )


def ragged_line(api: Handler, number: int) -> bool:
    return api.hostile.kind == "csv" and api.send(api.body(number) + b"1,2\n", api.links(number))


def redirect(location: str) -> Callable[[Handler, int], bool]:
    return lambda api, number: api.send(
        b"", {"Location": location.format(path=api.path, port=api.server.server_address[1])}, 307
    )


DEEP = b"[" * 50_000
MISBEHAVIOURS: dict[str, Callable[[Handler, int], bool]] = {
    **{
        str(code): status(code)
        for code in (400, 401, 403, 404, 408, 410, 418, 425, 500, 502, 503, 504, 206, 202)
    },
    "429 seconds": status(429, Retry_After="0"),
    "429 date": lambda api, number: api.send(b"", {"Retry-After": format_datetime(datetime.now(UTC))}, 429),
    "429 for a day": status(429, Retry_After="86400"),
    "503 nonsense": status(503, Retry_After="soon"),
    "204 too early": no_content,
    "reset": reset,
    "hang up": hang_up,
    "cut short": cut_short,
    "broken chunks": broken_chunks,
    "silent": silent,
    "drips": drips,
    "half a document": instead(lambda body: body[: len(body) // 2]),
    "empty body": instead(lambda body: b""),
    "html": instead(lambda body: b"<html>Please log in</html>"),
    "bom": lambda api, number: api.send(b"\xef\xbb\xbf" + api.body(number), api.links(number)),
    "charset": lambda api, number: api.send(
        api.body(number).decode().encode("utf-16"),
        {**api.links(number), "Content-Type": "text/x; charset=utf-16"},
    ),
    "unknown charset": lambda api, number: api.send(b"x", {"Content-Type": "text/x; charset=klingon"}),
    "gzip": coded("gzip", gzip.compress),
    "gzip cut short": coded("gzip", lambda body: gzip.compress(body)[:-6]),
    "gzip bomb": coded("gzip", lambda body: gzip.compress(b" " * 4_000_000 + body, 1)),
    "no gzip": coded("gzip", lambda body: body),
    "unknown coding": coded("br", lambda body: body),
    "redirect within": redirect("{path}&again=1"),
    "redirect in a circle": lambda api, number: api.send(b"", {"Location": api.path}, 302) and _again(api),
    "redirect elsewhere": redirect("http://localhost:{port}/v1"),
    "redirect to another scheme": redirect("https://127.0.0.1:{port}/v1"),
    "redirect nowhere": redirect("http://[/"),
    "link elsewhere": link_elsewhere,
    "link back": link_back,
    "cursor back": cursor_back,
    "cursor no cursor": lambda api, number: (
        api.hostile.kind == "cursor" and api.send(api.body(number, next={}))
    ),
    "page twice": page_twice,
    "wrong total": wrong_total,
    "total no total": document(total="many"),
    "nan": document(more=float("nan")),
    "duplicate keys": instead(lambda body: b'{"data": [1], ' + body[1:]),
    "deep": instead(lambda body: body[:-1] + b', "more": ' + DEEP),
    "huge integer": instead(lambda body: body[:-1] + b', "more": ' + b"9" * 5000 + b"}"),
    "another shape": document(data={"id": 1}),
    "no objects": document(data=[1, None, "x"]),
    "odd keys": document(data=[{"": 1, "a b": 2, "\n": 3, "\ud800": 4}]),
    "many columns": document(data=[{f"c{n}": n for n in range(3000)}]),
    "another kind": document(data=[{"id": "x", "at": 1, "name": {}}]),
    "own column": document(data=[{"partition": 1}]),
    "no record": no_record,
    "ragged line": ragged_line,
}


def _again(api: Handler) -> bool:
    api.hostile.plan += ["redirect in a circle"] * (api.hostile.chance.random() < 0.5)
    return True


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostile]:
    monkeypatch.setattr(http, "BACKOFF", wait_none())
    monkeypatch.setattr(http_pages, "PAGE_BYTES", 2**20)
    monkeypatch.setattr(http_client, "_SILENCE", 0.15)
    told = Hostile()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Told", (Handler,), {"hostile": told}))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # readers hang up all the time
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    told.address = f"http://127.0.0.1:{server.server_address[1]}"
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


class Shelf:
    """A storage in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def stage(self, key: str, body: bytes) -> None:
        self.objects[key] = bytes(body)

    def exists(self, key: str) -> bool:
        return key in self.objects

    def read(self, key: str) -> SimpleNamespace:
        if key not in self.objects:
            raise NotFoundError(key)
        return SimpleNamespace(body=self.objects[key])


def each_once(hostile: Hostile) -> Iterator[tuple[str, list[str]]]:
    """Kinds of paging with five misbehaviours each, until every one of these has been played.

    One that does not suit a kind (there is no cursor in a link) is offered to the next.
    """
    left = list(MISBEHAVIOURS)
    for kind in cycle(KINDS):
        offered, left = left[:5], left[5:]
        yield kind, offered
        left += [name for name in offered if not hostile.played[name]]
        if not left:
            return


def everywhere() -> Iterator[tuple[str, list[str]]]:
    """What every kind of paging must bear by itself: some kinds have no total that would tell."""
    yield from ((kind, ["page twice", "reset", "cut short"]) for kind in KINDS)


def mixed() -> Iterator[tuple[str, list[str]]]:
    names = list(MISBEHAVIOURS)
    for number in range(SCENARIOS):
        yield (
            list(KINDS)[number % len(KINDS)],
            [names[(number * 5 + step) % len(names)] for step in range(5)],
        )


def test_after_every_misbehaviour_each_record_is_there_once(hostile: Hostile, tell) -> None:
    outcomes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for number, (kind, names) in enumerate(chain(each_once(hostile), everywhere(), mixed())):
        chance = random.Random(seed(number))
        hostile.kind, hostile.chance, hostile.plan = kind, chance, list(names)
        chance.shuffle(hostile.plan)
        _play(hostile, number, outcomes)
        kinds[kind] += 1
    print(", ".join(f"{name}: {hostile.played[name]}" for name in MISBEHAVIOURS))
    tell(
        f"{kinds.total()} scenarios {dict(kinds)}, outcomes {dict(outcomes)}; {len(hostile.played)} kinds of "
        f"misbehaviour, each {min(hostile.played.values())} to {max(hostile.played.values())} times"
    )
    assert set(hostile.played) == set(MISBEHAVIOURS)
    assert set(kinds) == set(KINDS)
    assert outcomes["rows"] == kinds.total() >= SCENARIOS
    assert set(outcomes) == {"rows", "Rejected", "SourceError", "UnavailableError"}


def _play(hostile: Hostile, number: int, outcomes: Counter[str]) -> None:
    connection = Connection("api", "http", hostile.address, password=KEY)
    source = HttpSource(
        conn_id="api", path="/v1", time_column="at", timeout="1 second", **KINDS[hostile.kind]
    )
    source = source.model_copy(update={"timeout": timedelta(seconds=0.6)})
    staging = Staging(Shelf(), "p", "night-1")
    told: list[str] = []
    for attempt in range(100):
        if attempt == 50:
            hostile.plan.clear()
        try:
            rows = read_http(source, connection, "2011-01-01", StagedCheckpoint(staging, "api"))
            table = rows.table()
        except EvergreenError as error:
            kind = "SourceError" if isinstance(error, SourceError) else type(error).__name__
            told.append(f"{kind} {error}")
            continue
        outcomes["Rejected"] += len(rows.rejected)
        if hostile.plan and attempt < 12:
            continue  # this one was lucky
        break
    assert not [error for error in told if "\n" in error or KEY in error]
    outcomes.update(error.partition(" ")[0] for error in told)
    found = sorted(table.select(["id", "at", "name", "free"]).to_pylist(), key=lambda row: row["id"])
    expected = [{**record, "at": datetime.fromisoformat(record["at"])} for record in RECORDS]
    assert found == expected, f"scenario {number}, {hostile.kind}: {told}"
    outcomes["rows"] += 1
