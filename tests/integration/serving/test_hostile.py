"""Requests that nobody should send: each gets a clear status, and the server answers on."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from evergreen.serving.limits import Limits
from tests.campaign import rounds, seed
from tests.hostile_requests import CLOSED, KINDS, PREDICT, ROW, hostile, post, rows, value
from tests.integration.serving.conftest import Worlds
from tests.integration.serving.running import running

LIMITS = Limits(body=200_000, rows=40, at_once=8, sending=0.5, answering=20)

Request = tuple[bytes, int]


def row(**values: Any) -> bytes:
    return post(rows({**ROW, **values}))


def deep(opening: bytes, inner: bytes, closing: bytes, times: int = 20_000) -> bytes:
    return opening * times + inner + closing * times


def raw(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("latin-1")


HOSTILE: dict[str, Request] = {
    "no body": (post(b""), 422),
    "a space": (post(b" "), 422),
    "no json": (post(b"rows"), 422),
    "cut json": (post(rows(ROW)[:-2]), 422),
    "two documents": (post(rows(ROW) * 2), 422),
    "a comma too many": (post(b'{"rows": [{}],}'), 422),
    "a comment": (post(b'{"rows": [/* */]}'), 422),
    "null": (post(b"null"), 422),
    "a list": (post(b"[1]"), 422),
    "a number": (post(b"1"), 422),
    "text": (post(b'"rows"'), 422),
    "UTF-16": (post(json.dumps({"rows": [ROW]}).encode("utf-16")), 422),
    "a byte order mark": (post(b"\xef\xbb\xbf" + rows(ROW)), 422),
    "no UTF-8": (post(b'{"rows": [{"flower": "\xff"}]}'), 422),
    "a surrogate": (value(b'"\\ud800"'), 422),
    "a NUL": (value(b'"\\u0000"'), 422),
    "a raw NUL": (value(b'"\x00"'), 422),
    "NaN": (value(b"NaN"), 422),
    "Infinity": (value(b"Infinity"), 422),
    "-Infinity": (value(b"-Infinity"), 422),
    "1e999": (value(b"1e999"), 422),
    "1e308 is beyond what is expected": (value(b"1e308"), 422),
    "a whole number of 50,000 digits": (value(b"9" * 50_000), 422),
    "a fraction of 50,000 digits": (value(b"1." + b"3" * 50_000), 200),
    "a huge exponent": (value(b"1.7e-0000000000000000000000"), 200),
    "0x10": (value(b"0x10"), 422),
    "007": (value(b"007"), 422),
    "text that is no number": (row(petal_width="much"), 422),
    "text that looks like one": (row(petal_width="1_000"), 422),
    "a truth value": (row(petal_width=True), 422),
    "a list for a number": (row(petal_width=[1]), 422),
    "an object for a number": (row(petal_width={"$gt": 0}), 422),
    "a missing value that must be there": (row(petal_width=None), 422),
    "no key": (row(flower=None), 422),
    "a key that is no whole number": (row(flower=1.5), 422),
    "a key beyond 64 bits": (row(flower=2**64), 422),
    "the same key twice": (post(rows(ROW, ROW)), 422),
    "a field twice": (post(rows(ROW).replace(b'"flower"', b'"flower": 2, "flower"')), 422),
    "a field twice, escaped": (post(rows(ROW).replace(b'"flower"', b'"fl\\u006fwer": 2, "flower"')), 422),
    "an unknown field": (row(color="blue"), 422),
    "the column of the lake": (row(partition="snapshot"), 422),
    "__proto__": (row(__proto__={}), 422),
    "a field without a name": (post(rows({**ROW, "": 1})), 422),
    "a long field": (post(rows({**ROW, "x" * 90_000: 1})), 422),
    "5,000 fields": (post(rows({**ROW, **dict.fromkeys(map(str, range(5000)))})), 422),
    "a row that is a list": (post(rows([1, 2])), 422),
    "a row that is null": (post(rows(None)), 422),
    "an empty row": (post(rows({})), 422),
    "no rows": (post(rows()), 422),
    "rows by name": (post(b'{"rows": {"0": {}}}'), 422),
    "another member": (post(rows(ROW, version="snapshot-0")), 422),
    "whole is text": (post(rows(ROW, whole="yes")), 422),
    "too many rows": (post(rows(*[{**ROW, "flower": at} for at in range(41)])), 413),
    "deep lists": (post(deep(b"[", b"1", b"]")), 422),
    "deep lists without an end": (post(b"[" * 100_000), 422),
    "deep objects": (post(deep(b'{"a":', b"1", b"}")), 422),
    "a deep value": (value(deep(b"[", b"1", b"]", 900)), 422),
    "a large body": (post(b"x" * 200_001), 413),
    "a body told to be huge": (post(b"x", length=10**12), 413),
    "a body told to be huger": (post(b"x", length=10**30), 400),
    "a large body in chunks": (
        raw(f"POST {PREDICT} HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n")
        + b"30d41\r\n"
        + b"x" * 200_001,
        413,
    ),
    "a chunk that is none": (
        raw(f"POST {PREDICT} HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\nzz\n"),
        400,
    ),
    "both lengths": (post(rows(ROW), "Transfer-Encoding: chunked"), 400),
    "two lengths": (post(rows(ROW), "Content-Length: 1"), 400),
    "a length below zero": (post(b"x", length=-1), 400),
    "compressed": (post(b"\x1f\x8b\x08\x00", "Content-Encoding: gzip"), 415),
    "a form": (post(b"rows=1", "Content-Type: application/x-www-form-urlencoded"), 415),
    "plain text, as a page may send": (post(rows(ROW), "Content-Type: text/plain"), 415),
    "another pipeline": (post(rows(ROW), path="/v1/pipelines/secret/predict"), 404),
    "a path out": (post(rows(ROW), path="/v1/pipelines/../../etc/passwd"), 404),
    "an encoded path out": (post(rows(ROW), path="/v1/pipelines/..%2f..%2fetc/predict"), 404),
    "a path of 20,000 letters": (post(rows(ROW), path="/v1/pipelines/" + "x" * 20_000 + "/predict"), 404),
    "a path with a line break": (post(rows(ROW), path="/v1/pipelines/%0d%0aX:%20y/predict"), 404),
    "GET": (raw(f"GET {PREDICT} HTTP/1.1\nHost: x\nConnection: close\n\n"), 405),
    "a method of its own": (raw(f"BREW {PREDICT} HTTP/1.1\nHost: x\n\n"), 400),
    "no HTTP": (raw("hello\n\n"), 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50, 400),
    "HTTP/9": (raw(f"POST {PREDICT} HTTP/9.9\nHost: x\n\n"), 400),
    "a header without an end": (raw(f"POST {PREDICT} HTTP/1.1\nX: ") + b"x" * 200_000, CLOSED),
    "10,000 headers": (raw(f"GET {PREDICT} HTTP/1.1\nHost: x\n" + "X: abcdef\n" * 10_000), CLOSED),
    "an id that is none": (post(rows(ROW), "X-Request-Id: a b<script>"), 200),
    "an upgrade": (raw("GET /health HTTP/1.1\nHost: x\nConnection: upgrade\nUpgrade: websocket\n\n"), 200),
    "nothing": (b"", CLOSED),
    "a line without an end": (b"POST /v1/pip", CLOSED),
    "headers without an end": (raw(f"POST {PREDICT} HTTP/1.1\nHost: x\n"), CLOSED),
    "a body that does not come": (post(b'{"rows"', length=100), 408),
}


@pytest.fixture(scope="module")
def client(worlds: Worlds) -> Iterator[httpx.Client]:
    """A client of a server that allows little."""
    with running(worlds("iris").pipeline, limits=LIMITS, ending=1.0) as client:
        yield client


def sent(client: httpx.Client, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to these bytes, CLOSED if there is none."""
    place = urlsplit(str(client.base_url))
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        try:
            connection.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer and (data := connection.recv(65536)):
                answer += data
            head, _, body = answer.partition(b"\r\n\r\n")
            length = next(
                (int(x[15:]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")), 0
            )
            while len(body) < length and (data := connection.recv(65536)):
                body += data
        except (ConnectionResetError, BrokenPipeError):
            return CLOSED, b""
    return (int(head.split()[1]), body[:length]) if head else (CLOSED, b"")


def test_each_gets_a_clear_status_and_the_server_answers_on(
    client: httpx.Client, tell: Any, caplog: pytest.LogCaptureFixture
) -> None:
    before = client.post(PREDICT, json={"rows": [ROW]})
    wrong = {}
    for name, (request, status) in HOSTILE.items():
        found, body = sent(client, request)
        if found != status or _unclear(found, body):
            wrong[name] = (found, body[:200])
    assert wrong == {}
    after = client.post(PREDICT, json={"rows": [ROW]})
    assert (after.status_code, after.json()) == (200, before.json())
    assert client.get("/ready").json()["pipelines"]["iris"]["condition"] == "current"
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    tell(f"{len(HOSTILE)} hostile requests")


def test_requests_drawn_by_kind_are_refused_and_a_good_one_is_answered_after_each(
    client: httpx.Client, tell: Any, caplog: pytest.LogCaptureFixture
) -> None:
    good = client.post(PREDICT, json={"rows": [ROW]}).json()
    wrong: dict[str, Any] = {}
    told: Counter[int] = Counter()
    numbers = range(seed(0), seed(0) + rounds(1, 12))
    for kind, number in product(KINDS, numbers):
        drawn = hostile(kind, number)
        status, body = sent(client, drawn.request)
        told[status] += 1
        after = client.post(PREDICT, json={"rows": [ROW]})
        if status not in drawn.statuses or _unclear(status, body) or after.json() != good:
            wrong[f"{kind} {number}"] = (status, body[:200], after.status_code)
    assert wrong == {}
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    tell(f"{told.total()} requests of {len(KINDS)} kinds, answers by status: {dict(sorted(told.items()))}")


def _unclear(status: int, body: bytes) -> bool:
    """Whether an answer says not, in one line, what is wrong."""
    if status in (CLOSED, 200) or body == b"Invalid HTTP request received.":
        return False
    said = json.loads(body)
    reasons = [said["error"]] if "error" in said else [one["error"] for one in said["predictions"]]
    return any(not one or "\n" in one or "Traceback" in one or len(one) > 500 for one in reasons)
