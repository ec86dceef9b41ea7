"""A proxy between a client and a TCP server that cuts or stalls connections at seeded places of a stream."""

from __future__ import annotations

import asyncio
import math
import random
import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tests.faults.background import Background, reset


class Break(StrEnum):
    """What happens to a connection: cut by a reset, held up for a while, or held up and then cut."""

    CUT = "cut"
    STALL = "stall"
    STALL_AND_CUT = "stall and cut"


@dataclass(frozen=True)
class Wound:
    """A break of one connection, when `after` bytes went from the server to the client, or the other way."""

    kind: Break
    from_server: bool
    after: int


class Cuts:
    """Which connections break, and where: drawn from the seed and the connection's number.

    Each breaks with the probability `share`, after 1 to `most` bytes. Short distances are as likely as long
    ones (the logarithm is drawn evenly), so that logins break as well as rows.
    """

    def __init__(self, seed: int, share: float, most: int) -> None:
        self.seed = seed
        self.share = share
        self.most = most

    def wound(self, number: int) -> Wound | None:
        """What happens to the connection with this number; None leaves it whole."""
        draw = random.Random(f"{self.seed} {number}")
        if draw.random() >= self.share:
            return None
        kind = draw.choices(list(Break), (4, 1, 1))[0]
        from_server = draw.random() < 0.75
        return Wound(kind, from_server, int(math.exp(draw.uniform(0, math.log(self.most)))))


class First:
    """This wound of the next connection, and none of those that follow."""

    def __init__(self, wound: Wound) -> None:
        self.first = wound
        self._left = 1

    def wound(self, number: int) -> Wound | None:
        """What happens to the connection with this number; None leaves it whole."""
        self._left -= 1
        return self.first if self._left == 0 else None


class Wounds(Protocol):
    """Which connections break, and where."""

    def wound(self, number: int) -> Wound | None:
        """What happens to the connection with this number; None leaves it whole."""


class TcpProxy(Background):
    """Passes connections on to `host:port`. `plan` may be changed at any time; None breaks nothing.

    While `down` is set, new connections are reset, and open ones as soon as something would pass.
    `opened` is the number of connections so far, `broken` the wounds that were played: a connection that
    ends before its place is reached is not among them.
    """

    def __init__(self, host: str, port: int, plan: Wounds | None = None, stall: float = 0.3) -> None:
        super().__init__()
        self._upstream = (host, port)
        self._stall = stall
        self.plan = plan
        self.down = False
        self.opened = 0
        self.broken: list[Wound] = []
        self._lock = threading.Lock()

    def counts(self) -> Counter[str]:
        """How many connections were broken, by kind."""
        with self._lock:
            return Counter(str(wound.kind) for wound in self.broken)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes both ways until one side leaves or the wound cuts the connection."""
        self.opened += 1
        if self.down:
            reset(writer)
            return
        wound = self.plan.wound(self.opened) if self.plan else None
        server_reader, server_writer = await asyncio.open_connection(*self._upstream)
        down = wound if wound and wound.from_server else None
        up = wound if wound and not wound.from_server else None
        ways = [
            asyncio.create_task(self._pass(server_reader, writer, down)),
            asyncio.create_task(self._pass(reader, server_writer, up)),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if any(way.exception() is None and way.result() for way in done):
                reset(writer)
                reset(server_writer)
        finally:
            for way in ways:
                way.cancel()
            server_writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wound: Wound | None
    ) -> bool:
        """Pass bytes one way; True if the wound says that the connection ends here."""
        passed = 0
        while data := await reader.read(65536):
            if self.down:
                return True
            if wound and passed + len(data) >= wound.after:
                at = wound.after - passed
                await _write(writer, data[:at])
                with self._lock:
                    self.broken.append(wound)
                if wound.kind is not Break.CUT:
                    await asyncio.sleep(self._stall)
                if wound.kind is not Break.STALL:
                    return True
                wound, data = None, data[at:]
            passed += len(data)
            await _write(writer, data)
        return False


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
