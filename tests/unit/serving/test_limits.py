"""How many requests there are at once, and how long each may take."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from evergreen.serving.limits import Limits, Turns, received
from evergreen.serving.refused import RequestRefusedError


def test_the_result_and_the_error_of_the_work_come_back() -> None:
    async def asked() -> None:
        turns = Turns(Limits())
        assert await turns.run(divmod, 7, 3) == (2, 1)
        with pytest.raises(ZeroDivisionError):
            await turns.run(divmod, 7, 0)
        turns.close()

    asyncio.run(asked())


def test_more_requests_than_may_be_are_told_so_until_one_has_ended() -> None:
    async def asked() -> None:
        turns, go_on = Turns(Limits(at_once=2, threads=1)), threading.Event()
        waiting = [asyncio.create_task(turns.run(go_on.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(RequestRefusedError, match="2 requests are being answered") as refused:
            await turns.run(int)
        assert refused.value.status == 429
        go_on.set()
        await asyncio.gather(*waiting)
        assert await turns.run(int) == 0
        turns.close()

    asyncio.run(asked())


def test_work_that_takes_too_long_keeps_its_turn_until_it_ends() -> None:
    async def asked() -> None:
        turns, go_on = Turns(Limits(at_once=1, threads=1, answering=0.01)), threading.Event()
        with pytest.raises(RequestRefusedError, match=r"no answer within 0\.01 seconds") as refused:
            await turns.run(go_on.wait)
        assert refused.value.status == 503
        with pytest.raises(RequestRefusedError) as refused:
            await turns.run(int)
        assert refused.value.status == 429
        go_on.set()
        turns.close()
        await asyncio.sleep(0)
        assert turns._taken == 0

    asyncio.run(asked())


async def chunks(*parts: bytes, pause: float = 0) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(pause)
        yield part


@pytest.mark.parametrize(
    ("parts", "told", "status"),
    [
        ((b"",), "11", 413),
        ((b"123456", b"78901"), None, 413),
        ((b"12345", b"67890"), None, None),
        ((), "x", None),
        ((), "\u00b2", None),
    ],
)
def test_a_body_is_read_as_far_as_it_may_be(
    parts: tuple[bytes, ...], told: str | None, status: int | None
) -> None:
    reading = received(chunks(*parts), told, Limits(body=10))
    if status is None:
        assert asyncio.run(reading) == b"".join(parts)
        return
    with pytest.raises(RequestRefusedError, match="more than 10 bytes") as refused:
        asyncio.run(reading)
    assert refused.value.status == status


def test_a_body_that_comes_too_slowly() -> None:
    with pytest.raises(RequestRefusedError, match=r"did not come within 0\.01 seconds") as refused:
        asyncio.run(received(chunks(b"1", pause=5), None, Limits(sending=0.01)))
    assert refused.value.status == 408
