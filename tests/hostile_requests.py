"""Requests that nobody should send, drawn by kinds: each with the statuses that it may get."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tests.arrow_streams import damaged, streamed

ROW: Mapping[str, Any] = {
    "flower": 1,
    "sepal_length": 5.9,
    "sepal_width": 3.0,
    "petal_length": 4.9,
    "petal_width": 1.7,
}
FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
PREDICT, INFER = "/v1/pipelines/iris/predict", "/v2/models/iris/infer"
ARROW = "Content-Type: application/vnd.apache.arrow.stream"

CLOSED = 0
"""What stands for a connection that is closed without an answer."""


@dataclass(frozen=True)
class Hostile:
    """The bytes of a request, and the statuses of which its answer must have one."""

    request: bytes
    statuses: frozenset[int]


def post(body: bytes, *headers: str, path: str = PREDICT, length: int | None = None) -> bytes:
    """A request with a body, which says that it is of another `length`."""
    told = len(body) if length is None else length
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {told}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def rows(*found: Any, **more: Any) -> bytes:
    """The body of a request for rows."""
    return json.dumps({"rows": list(found), **more}).encode()


def value(text: bytes) -> bytes:
    """A row with a value that is written so."""
    return post(rows({**ROW, "petal_width": "@"}).replace(b'"@"', text))


Draw = Callable[[random.Random], tuple[bytes, set[int]]]


def _deep(draw: random.Random) -> tuple[bytes, set[int]]:
    opening, closing = draw.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'[{"rows":', b"}]")])
    times = draw.choice([50, 500, 5000, 20_000])
    body = opening * times + b"1" + draw.choice([closing * times, b""])
    return draw.choice([post(body), value(body), post(body, path=INFER)]), {422}


def _no_number(draw: random.Random) -> tuple[bytes, set[int]]:
    texts = [
        b"NaN",
        b"nan",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-1e400",
        b'"NaN"',
        b'"inf"',
        b"0x1F",
        b"1_0",
    ]
    return value(draw.choice(texts)), {422}


def _huge_number(draw: random.Random) -> tuple[bytes, set[int]]:
    digits = str(draw.randrange(1, 10)).encode() * draw.choice([20, 310, 5000, 60_000])
    return value(draw.choice([b"", b"-"]) + digits), {422}


def _wrong_type(draw: random.Random) -> tuple[bytes, set[int]]:
    found = draw.choice([True, [], [1.5], {}, {"a": 1}, "much", "", "1,5", "0x1", "1.5.5", "--1", "1 2"])
    name = draw.choice(FEATURES)
    return post(rows({**ROW, name: found})), {422}


def _wrong_key(draw: random.Random) -> tuple[bytes, set[int]]:
    return post(rows({**ROW, "flower": draw.choice([None, 1.5, "a", 2**63, -(2**70), [1], True, 1e300])})), {
        422
    }


def _wrong_body(draw: random.Random) -> tuple[bytes, set[int]]:
    bodies: list[Any] = [
        None,
        1,
        "rows",
        [ROW],
        {},
        {"rows": None},
        {"rows": ROW},
        {"rows": []},
        {"row": [ROW]},
    ]
    return post(json.dumps(draw.choice(bodies)).encode()), {422}


def _cut_json(draw: random.Random) -> tuple[bytes, set[int]]:
    whole = rows(ROW)
    return post(whole[: draw.randrange(len(whole))]), {422}


def _junk(draw: random.Random) -> tuple[bytes, set[int]]:
    body = draw.randbytes(draw.choice([1, 10, 1000, 50_000]))
    return draw.choice([post(body), post(body, path=INFER), post(body, ARROW)]), {422}


def _fields(draw: random.Random) -> tuple[bytes, set[int]]:
    name = draw.choice(
        ["colour", "partition", "", "__proto__", "x" * 50_000, "flower ", "FLOWER", "\0", "🌷", "a\nb"]
    )
    return post(rows({**ROW, name: 1})), {422}


def _missing_field(draw: random.Random) -> tuple[bytes, set[int]]:
    gone = set(draw.sample(sorted(ROW), draw.randrange(1, len(ROW) + 1)))
    return post(rows({name: one for name, one in ROW.items() if name not in gone})), {422}


def _surrogate(draw: random.Random) -> tuple[bytes, set[int]]:
    half = f"\\u{draw.choice('dD')}{draw.choice('89abcdef')}{draw.randrange(256):02x}".encode()
    return value(b'"' + half + draw.choice([b"", b"x", b"\\u0041"]) + b'"'), {422}


def _no_utf8(draw: random.Random) -> tuple[bytes, set[int]]:
    wrong = draw.choice([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"])
    return value(b'"' + wrong + b'"'), {422}


def _twice(draw: random.Random) -> tuple[bytes, set[int]]:
    name = draw.choice(sorted(ROW))
    again = "".join(f"\\u{ord(letter):04x}" if draw.random() < 0.3 else letter for letter in name)
    said = f'"{again}": 2, "{name}"'.encode()
    return post(rows(ROW).replace(f'"{name}"'.encode(), said)), {422}


def _same_rows(draw: random.Random) -> tuple[bytes, set[int]]:
    return post(rows(*[ROW] * draw.randrange(2, 20))), {422}


def _too_many(draw: random.Random) -> tuple[bytes, set[int]]:
    return post(rows(*({"flower": at} for at in range(draw.randrange(41, 3000))))), {413}


def _too_large(draw: random.Random) -> tuple[bytes, set[int]]:
    body = b"x" * draw.choice([200_001, 2**20, 2**20, 100 * 2**20])
    kind = draw.choice(["Content-Type: application/json", ARROW])
    return post(body, kind), {413, CLOSED}  # closed where the client still writes when it is refused


def _told_large(draw: random.Random) -> tuple[bytes, set[int]]:
    return post(b"x", length=draw.choice([200_001, 100 * 2**20, 2**40, 2**62])), {413}


def _length_lies(draw: random.Random) -> tuple[bytes, set[int]]:
    body = rows(ROW)
    return draw.choice(
        [
            (post(body, length=len(body) + draw.randrange(1, 99)), {408}),
            (post(body, length=draw.randrange(1, len(body))), {422}),
            (post(body, length=-draw.randrange(1, 9)), {400}),
            (post(body, f"Content-Length: {len(body) + 1}"), {400}),
            (post(body, "Transfer-Encoding: chunked"), {400}),
        ]
    )


def _head(*headers: str) -> bytes:
    return "\r\n".join([f"POST {PREDICT} HTTP/1.1", "Host: x", *headers]).encode()


def _chunks(draw: random.Random) -> tuple[bytes, set[int]]:
    head = _head("Transfer-Encoding: chunked", "Connection: close", "", "")
    return draw.choice(
        [
            (head + b"zz\r\n", {400}),
            (head + b"-1\r\n", {400}),
            (head + b"ffffffffffffffffffff\r\n", {400}),
            (head + b'5\r\n{"ro', {408}),
            (head + b"1\r\n{\r\n0\r\n\r\n", {422}),
            (head + b"0\r\n\r\n", {422}),
            (head + b"30d41\r\n" + b"x" * 200_001, {413, CLOSED}),
        ]
    )


def _no_http(draw: random.Random) -> tuple[bytes, set[int]]:
    begin = draw.choice(
        [b"\x16\x03\x01\x02\x00", b"\0", b"SSH-2.0-x\r\n", b"hello\r\n\r\n", b"{}\r\n\r\n", b"GET\r\n\r\n"]
    )
    return begin + draw.randbytes(draw.randrange(40, 200)), {400, CLOSED}


def _headers(draw: random.Random) -> tuple[bytes, set[int]]:
    head = _head("")
    return draw.choice(
        [
            (head + b"X: " + b"x" * draw.choice([70_000, 300_000]), {CLOSED}),
            (head + b"X: abcdef\r\n" * draw.choice([8000, 20_000]), {CLOSED}),
            (head + b"X", {CLOSED}),
            (head + b"X: \0\r\n\r\n", {400}),
            (head + b": x\r\n\r\n", {400}),
        ]
    )


def _kinds(draw: random.Random) -> tuple[bytes, set[int]]:
    kind = draw.choice(
        ["text/plain", "text/csv", "application/x-www-form-urlencoded", "application/xml", "*/*"]
    )
    packed = draw.choice(["gzip", "deflate", "br", "zstd", "gzip, gzip"])
    return post(rows(ROW), draw.choice([f"Content-Type: {kind}", f"Content-Encoding: {packed}"])), {415}


def _paths(draw: random.Random) -> tuple[bytes, set[int]]:
    name = draw.choice(
        ["secret", "..", "..%2f..%2fetc", "%00", "x" * 20_000, "iris%0d%0aX:y", "IRIS", "*", "%ff"]
    )
    return post(rows(ROW), path=f"/v1/pipelines/{name}/predict"), {404}


def _methods(draw: random.Random) -> tuple[bytes, set[int]]:
    method = draw.choice(["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
    return f"{method} {PREDICT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(), {405}


def _pipelined(draw: random.Random) -> tuple[bytes, set[int]]:
    bad = post(draw.choice([b"", b"{", b"[]"])).replace(b"Connection: close\r\n", b"")
    return bad * draw.randrange(2, 20), {422}


def _table(**more: Any) -> pa.Table:
    return pa.table({name: [one] for name, one in {**ROW, **more}.items()})


def _damaged_arrow(draw: random.Random) -> tuple[bytes, set[int]]:
    stream = damaged(streamed(_table(), draw.choice([None, "lz4", "zstd"])), draw.randrange(2**32))
    return post(stream, ARROW), {200, 413, 422}  # damage to padding changes nothing, to a value another value


def _wrong_arrow(draw: random.Random) -> tuple[bytes, set[int]]:
    kinds = [
        pa.array([{"a": 1}]),
        pa.array([b"x"]),
        pa.array([[[1]]]),
        pa.array(["x"]),
        pa.array([True]),
        pa.nulls(1),
    ]
    table = _table().drop_columns("petal_width").append_column("petal_width", draw.choice(kinds))
    return post(streamed(table), ARROW), {422}


def _arrow_bomb(draw: random.Random) -> tuple[bytes, set[int]]:
    text = "x" * draw.choice([300_000, 3_000_000])
    packed = streamed(_table(colour=text), draw.choice(["lz4", "zstd"]))
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * 40, pa.int8()), pa.array([text[:9000]]))
    repeated = streamed(pa.table({"colour": shared}))
    nothing = streamed(pa.table({"colour": pa.nulls(2**30)}))
    return post(draw.choice([packed, repeated, nothing]), ARROW), {413}


def _arrow_columns(draw: random.Random) -> tuple[bytes, set[int]]:
    table = _table()
    twice = table.append_column("flower", pa.array([1]))
    found = [twice, _table(colour=1), table.drop_columns("flower"), table.slice(0, 0), pa.table({})]
    return post(streamed(draw.choice(found)), ARROW), {422}


def _tensors(draw: random.Random) -> tuple[bytes, set[int]]:
    good = {"name": "features", "shape": [1, 4], "datatype": "FP64", "data": [5.9, 3.0, 4.9, 1.7]}
    wrong = draw.choice(
        [
            {"shape": draw.choice([[2, 4], [-1, 4], [4], [1, 4, 1], [2**40, 4], [1.0, 4], [], None, "14"])},
            {"datatype": draw.choice(["FP128", "fp64", None, 64, "BYTES", "BOOL", ["FP64"]])},
            {
                "data": draw.choice(
                    [[], None, "5.9", [1] * 5, [[1, 2], [3]], ["a"] * 4, [True] * 4, [10**400] * 4]
                )
            },
            {"name": draw.choice([None, 1, "colour"]), "shape": [4, 1]},
            {"parameters": {"binary_data_size": draw.choice([32, -1, 2**63, 1.5, "32", True])}},
        ]
    )
    inputs = draw.choice([[good | wrong], [good | wrong, good], [good | wrong] * 50])
    return post(json.dumps({"inputs": inputs}).encode(), path=INFER), {422}


def _packed_tensors(draw: random.Random) -> tuple[bytes, set[int]]:
    tensor = {"name": "features", "shape": [1, 4], "datatype": "FP64", "parameters": {"binary_data_size": 32}}
    text, values = json.dumps({"inputs": [tensor]}).encode(), struct.pack("<4d", 5.9, 3.0, 4.9, 1.7)
    told, body = draw.choice(
        [
            (len(text), text + values[:-1]),
            (len(text), text + values * 2),
            (len(text) - 1, text + values),
            (len(text) + 1, text + values),
            (10**9, text + values),
            (-1, text + values),
        ]
    )
    length, kind = f"Inference-Header-Content-Length: {told}", "Content-Type: application/octet-stream"
    return post(body, kind, length, path=INFER), {422}


def _slow(draw: random.Random) -> tuple[bytes, set[int]]:
    whole = post(rows(ROW))
    at = draw.randrange(1, len(whole) - 1)
    # Cut within the head the connection is closed, within the body the request is answered.
    return whole[:at], {408} if b"\r\n\r\n" in whole[:at] else {CLOSED}


KINDS: dict[str, Draw] = {
    "deep JSON": _deep,
    "no number": _no_number,
    "huge numbers": _huge_number,
    "wrong types": _wrong_type,
    "wrong keys": _wrong_key,
    "wrong bodies": _wrong_body,
    "cut JSON": _cut_json,
    "junk": _junk,
    "unknown fields": _fields,
    "missing fields": _missing_field,
    "half surrogates": _surrogate,
    "no UTF-8": _no_utf8,
    "a field twice": _twice,
    "a row twice": _same_rows,
    "too many rows": _too_many,
    "large bodies": _too_large,
    "lengths told to be large": _told_large,
    "lengths that lie": _length_lies,
    "chunks": _chunks,
    "no HTTP": _no_http,
    "headers": _headers,
    "other media types": _kinds,
    "other paths": _paths,
    "other methods": _methods,
    "pipelined": _pipelined,
    "damaged Arrow": _damaged_arrow,
    "Arrow of other types": _wrong_arrow,
    "Arrow that grows": _arrow_bomb,
    "Arrow of other columns": _arrow_columns,
    "tensors": _tensors,
    "tensors in bytes": _packed_tensors,
    "slow clients": _slow,
}


def hostile(kind: str, number: int) -> Hostile:
    """The request of a kind that follows from the number."""
    request, statuses = KINDS[kind](random.Random(f"{kind} {number}"))
    return Hostile(request, frozenset(statuses))
