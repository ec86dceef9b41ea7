"""What a request may cost: its size, how long it may take, and how many there may be at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from evergreen.serving.refused import RequestRefusedError


@dataclass(frozen=True)
class Limits:
    """Bytes and rows of a request, requests at once, and seconds to receive one and to answer it.

    `threads` predict at the same time; what is beyond them waits.
    """

    body: int = 16 * 2**20
    rows: int = 50_000
    at_once: int = 64
    threads: int = 2
    sending: float = 10.0
    answering: float = 30.0


class Turns:
    """Runs the work of requests in threads: so many at once, and each only so long."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.threads, "evergreen-serving")
        self._taken = 0

    async def run(self, work: Any, *arguments: Any) -> Any:
        """What the function returns, or raises.

        Raises `RequestRefusedError`: 429 at once if as many requests as may be are being answered, 503 when
        the time is over. A turn is free again only when its work has ended.
        """
        if self._taken >= self._limits.at_once:
            raise RequestRefusedError(
                429, f"{self._limits.at_once} requests are being answered: send this one again later"
            )
        self._taken += 1
        running = self._pool.submit(work, *arguments)
        running.add_done_callback(partial(self._ended, asyncio.get_running_loop()))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(running), self._limits.answering)
        except TimeoutError:
            raise RequestRefusedError(
                503, f"no answer within {self._limits.answering:g} seconds: send fewer rows, or again later"
            ) from None

    def close(self) -> None:
        """Wait for what runs."""
        self._pool.shutdown(cancel_futures=True)

    def _ended(self, loop: asyncio.AbstractEventLoop, work: Future[Any]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._free)

    def _free(self) -> None:
        self._taken -= 1


async def received(chunks: AsyncIterator[bytes], told: str | None, limits: Limits) -> bytes:
    """The whole body that comes in chunks; `told` is its length as the client says.

    Raises `RequestRefusedError`: 413 for one that is too large, which is not read further, and 408 for one
    that comes too slowly.
    """
    if told is not None and told.isascii() and told.isdigit() and int(told) > limits.body:
        raise too_large(limits)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.sending):
            async for chunk in chunks:
                body += chunk
                if len(body) > limits.body:
                    raise too_large(limits)
    except TimeoutError:
        raise RequestRefusedError(
            408, f"the body did not come within {limits.sending:g} seconds: send it faster"
        ) from None
    return bytes(body)


def too_large(limits: Limits) -> RequestRefusedError:
    """The refusal (413) of a body that has more bytes than it may have."""
    return RequestRefusedError(413, f"the body has more than {limits.body:,} bytes: send several requests")
