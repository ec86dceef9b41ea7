"""Who is let in, and what is told of each request."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from evergreen.serving.entrance import About, Entrance, Message, Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"]["about"].rows = 3
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def ask(token: str | None, path: str, *headers: tuple[bytes, bytes]) -> tuple[list[Message], About]:
    sent: list[Message] = []
    told: list[About] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": path, "headers": list(headers)}
    asyncio.run(Entrance(app, token, told.append)(scope, receive, send))
    [about] = told
    return sent, about


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"Bearer s3cret", 200),
        (b"bearer  s3cret", 200),
        (b"Bearer s3cre", 401),
        (b"Bearer s3cret2", 401),
        (b"Bearer ", 401),
        (b"s3cret", 401),
        (b"Basic s3cret", 401),
        (b"Bearer \xff", 401),
    ],
)
def test_only_the_token_opens(said: bytes, status: int) -> None:
    sent, about = ask("s3cret", "/v1", (b"authorization", said))
    assert (sent[0]["status"], about.status) == (status, status)
    assert b"s3cret" not in sent[1]["body"]


def test_without_or_with_two_tokens_nobody_comes_in() -> None:
    token = (b"authorization", b"Bearer s3cret")
    assert ask("s3cret", "/metrics")[1].status == 401
    assert ask("s3cret", "/metrics", token, token)[1].status == 401


def test_probes_need_none_and_without_a_token_all_is_open() -> None:
    assert ask("s3cret", "/health")[1].status == 200
    assert ask("s3cret", "/v2/health/ready")[1].status == 200
    assert ask(None, "/v1")[1].status == 200


def test_a_request_keeps_its_id_if_it_has_a_plain_one() -> None:
    sent, _ = ask(None, "/v1", (b"x-request-id", b"night-7"))
    assert (b"x-request-id", b"night-7") in sent[0]["headers"]
    sent, about = ask(None, "/v1", (b"x-request-id", b"a b"))
    assert (b"x-request-id", about.request_id.encode()) in sent[0]["headers"]
    assert len(about.request_id) == 32


def test_the_access_log_has_a_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="evergreen.serving.access"):
        ask("s3cret", "/v1/x\n", (b"authorization", b"Bearer s3cret"), (b"x-request-id", b"one"))
    [line] = caplog.messages
    said = json.loads(line)
    assert said.pop("milliseconds") >= 0
    assert said == {
        "request_id": "one",
        "client": "",
        "method": "GET",
        "path": "/v1/x ",
        "status": 200,
        "pipeline": "",
        "version": "",
        "rows": 3,
        "failed": 0,
    }
    assert "s3cret" not in line


@pytest.mark.parametrize(("why", "is_error"), [("... ; the handler is closed", False), ("too long", True)])
def test_a_client_that_has_left_is_no_error(
    why: str, is_error: bool, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[About] = []

    async def send(message: Message) -> None:
        raise RuntimeError(why)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/v1", "headers": []}
    answering = Entrance(app, None, told.append)(scope, receive, send)
    if is_error:
        with pytest.raises(RuntimeError, match=why):
            asyncio.run(answering)
    else:
        asyncio.run(answering)
    assert [record.levelname for record in caplog.records] == ["ERROR"] * is_error
    assert [about.status for about in told] == [200]
