"""A proxy between a client and an S3 server that breaks calls by a seeded plan.

It understands just enough HTTP to know where a request ends and what it asks for, so that a fault is chosen
by method and key, and so that it can be played before or after the server got the request. The second is the
nasty one: the write has happened and the client believes that it failed.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.faults.background import Background, reset

_PIECES = 20  # of a trickled answer
_PAUSE = 0.01  # seconds between two of them


class Fault(StrEnum):
    """What happens to a call. Those called `_after` happen when the server has done what it was asked."""

    ERROR = "500"
    ERROR_AFTER = "500 after"
    SLOW_DOWN = "503"
    RESET = "reset"
    RESET_AFTER = "reset after"
    SILENCE = "silence"
    SILENCE_AFTER = "silence after"
    TRICKLE = "trickle"
    TRUNCATED = "truncated"


AFTER = frozenset({Fault.ERROR_AFTER, Fault.RESET_AFTER, Fault.SILENCE_AFTER})
# A client waits a whole time-out for a silent server, so that there is less of it.
WEIGHTS: Mapping[Fault, int] = {fault: 1 if "silence" in fault else 4 for fault in Fault}


@dataclass(frozen=True)
class Call:
    """A request: what it asks for, when it came (monotonic seconds), and what was done to it."""

    at: float
    method: str
    key: str
    query: Mapping[str, str]
    fault: Fault | None = None

    @property
    def is_commit(self) -> bool:
        """Whether it writes the next version of a Delta table."""
        return self.method == "PUT" and "/_delta_log/" in self.key


class Faults(Protocol):
    """Which calls break, and how."""

    def fault(self, call: Call) -> Fault | None:
        """What to do to this call; None lets it through."""


class Script:
    """One fault at the first calls of some phases: `times` says at how many of each.

    `phase_of` tells the phase of a call. A client that tries a call three times gets through two faults.
    """

    def __init__(self, kind: Fault, times: Mapping[str, int], phase_of: Callable[[Call], str]) -> None:
        self._kind, self._phase_of = kind, phase_of
        self._left = Counter(times)

    def fault(self, call: Call) -> Fault | None:
        """What to do to this call; None lets it through."""
        phase = self._phase_of(call)
        if not self._left[phase]:
            return None
        self._left[phase] -= 1
        return self._kind


class Plan:
    """Which calls break, and how: drawn anew for each call from the seed, method, key and how often it came.

    So the plan depends on what is asked and not on which of two threads asks first. Commits of Delta tables
    break with the probability `commits`, other calls with `share`.
    """

    def __init__(
        self, seed: int, share: float, commits: float | None = None, weights: Mapping[Fault, int] = WEIGHTS
    ) -> None:
        self.seed = seed
        self.share = share
        self.commits = share if commits is None else commits
        self._faults, self._weights = list(weights), list(weights.values())
        self._asked: Counter[tuple[str, str]] = Counter()

    def fault(self, call: Call) -> Fault | None:
        """What to do to this call; None lets it through."""
        what = (call.method, call.key)
        self._asked[what] += 1
        draw = random.Random(f"{self.seed} {what} {self._asked[what]}")  # a string seeds the same everywhere
        if draw.random() >= (self.commits if call.is_commit else self.share):
            return None
        return draw.choices(self._faults, self._weights)[0]


@dataclass
class _Message:
    """A request or an answer: its first line and headers as they came, and its body."""

    head: bytes
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def first(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")


class S3Proxy(Background):
    """Passes calls on to the S3 server at `upstream`. `plan` may be changed at any time; None breaks nothing.

    Headers whose names are in `forgets` (small letters) are left out, as by a server that does not know them.
    `calls` are all the requests that came; `watch`, if set, is called with each before it is passed on.
    """

    def __init__(self, upstream: str, plan: Faults | None = None) -> None:
        super().__init__()
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 80)
        self.plan = plan
        self.forgets: frozenset[str] = frozenset()
        self.calls: list[Call] = []
        self.watch: Callable[[Call], None] | None = None
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.port}"

    def counts(self) -> Counter[str]:
        """How many calls were broken, by fault."""
        with self._lock:
            return Counter(str(call.fault) for call in self.calls if call.fault)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on request after request until the client leaves or a fault breaks the connection."""
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while request := await _request(reader, writer):
                call = self._noted(request)
                if await self._broken_before(call, reader, writer):
                    return
                server = server or await asyncio.open_connection(*self._upstream)
                server[1].write(_without(request.head, self.forgets) + request.body)
                answer = await _answer(server[0], call.method)
                if await self._broken_after(call, answer, reader, writer):
                    return
        finally:
            if server:
                server[1].close()

    def _noted(self, request: _Message) -> Call:
        method, target, _ = request.first.split(" ", 2)
        parts = urlsplit(target)
        # The bucket has another name in every run of the test.
        key = unquote(parts.path).lstrip("/").partition("/")[2]
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        call = Call(time.monotonic(), method, key or query.get("prefix", ""), query)
        with self._lock:
            fault = self.plan.fault(call) if self.plan else None
            call = Call(call.at, method, call.key, query, fault)
            self.calls.append(call)
        if self.watch:
            self.watch(call)
        return call

    async def _broken_before(
        self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if call.fault is Fault.RESET:
            reset(writer)
        elif call.fault is Fault.SILENCE:
            await reader.read()  # until the client gives up
        elif call.fault in (Fault.ERROR, Fault.SLOW_DOWN):
            await _send(writer, _refusal(call))
        else:
            return False
        return True

    async def _broken_after(
        self, call: Call, answer: _Message, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        whole = answer.head + answer.body
        if call.fault is Fault.RESET_AFTER:
            reset(writer)
        elif call.fault is Fault.SILENCE_AFTER:
            await reader.read()
        elif call.fault is Fault.ERROR_AFTER:
            await _send(writer, _refusal(call))
        elif call.fault is Fault.TRUNCATED:
            # Half a head would do for a lenient client; half a first line does for none.
            end = len(answer.head) + len(answer.body) // 2 if answer.body else len(answer.first) // 2
            await _send(writer, whole[:end])
        elif call.fault is Fault.TRICKLE:
            size = max(1, len(whole) // _PIECES)
            for at in range(0, len(whole), size):
                await _send(writer, whole[at : at + size])
                await asyncio.sleep(_PAUSE)
            return False
        else:
            await _send(writer, whole)
            return False
        return True


def _without(head: bytes, names: frozenset[str]) -> bytes:
    lines = head.split(b"\r\n")
    return b"\r\n".join(
        line for line in lines if line.partition(b":")[0].decode("latin-1").lower() not in names
    )


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


def _refusal(call: Call) -> bytes:
    status, code = (
        ("503 Slow Down", "SlowDown") if call.fault is Fault.SLOW_DOWN else ("500 Error", "InternalError")
    )
    body = "" if call.method == "HEAD" else f"<Error><Code>{code}</Code><Message>a fault</Message></Error>"
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}"
    ).encode()


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Message | None:
    request = await _head(reader)
    if request is None:
        return None
    if request.headers.get("expect", "").lower() == "100-continue":
        await _send(writer, b"HTTP/1.1 100 Continue\r\n\r\n")
        lines = request.head.split(b"\r\n")
        request.head = b"\r\n".join(line for line in lines if not line.lower().startswith(b"expect:"))
    request.body = await _body(reader, request.headers)
    return request


async def _answer(reader: asyncio.StreamReader, method: str) -> _Message:
    answer = await _head(reader)
    if answer is None:
        raise ConnectionResetError("the S3 server closed the connection")
    status = int(answer.first.split(" ")[1])
    if method != "HEAD" and status not in (204, 304):
        answer.body = await _body(reader, answer.headers)
    return answer


async def _head(reader: asyncio.StreamReader) -> _Message | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    pairs = (line.decode("latin-1").partition(":") for line in head.split(b"\r\n")[1:] if line)
    return _Message(head, b"", {name.lower(): value.strip() for name, _, value in pairs})


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    """The body as it stands on the wire."""
    if "chunked" not in headers.get("transfer-encoding", "").lower():
        return await reader.readexactly(int(headers.get("content-length") or 0))
    wire = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if size:
            wire += line + await reader.readexactly(size + 2)
            continue
        wire += line
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            wire += line
        return wire + line
