"""What every request passes: its id, the token, a line in the access log, and no traceback for anybody."""

from __future__ import annotations

import hmac
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict, dataclass, field
from typing import Any

from evergreen.shown import shown

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = frozenset({"/health", "/ready", "/v2/health/live", "/v2/health/ready"})
"""What may be asked without a token: probes have none."""

access = logging.getLogger("evergreen.serving.access")
_log = logging.getLogger(__name__)

_CLOSED = "the handler is closed"
"""What uvloop says of a connection that the client has ended, before it tells the server."""

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Part:
    """What was asked of a canary: how many rows, and how many it left to the champion, with a reason.

    `status` is that of a request that the canary would have answered alone.
    """

    version: str
    rows: int
    failed: int
    status: int
    problem: str = ""


@dataclass
class About:
    """What is told of a request in log and figures; who answers it fills it in."""

    request_id: str
    pipeline: str = ""
    version: str = ""
    rows: int = 0
    failed: int = 0
    status: int = 500
    canary: Part | None = None
    began: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since the request came."""
        return time.perf_counter() - self.began


class Entrance:
    """Lets requests with the right token in to `app`; without `token`, all.

    `told` is called with each request once it is answered.
    """

    def __init__(self, app: App, token: str | None, told: Callable[[About], None]) -> None:
        self._app, self._told = app, told
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        about = About(_request_id(scope))
        scope.setdefault("state", {})["about"] = about

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                about.status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", about.request_id.encode()),
                ]
            await _sent(message, send, receive)

        try:
            if scope["path"] not in OPEN and not self._may_enter(scope):
                await _refuse(answer, 401, "send the token: Authorization: Bearer ...")
            else:
                await self._app(scope, receive, answer)
        except Exception:
            _log.exception("request %s failed", about.request_id)
            raise
        finally:
            self._told(about)
            _write(scope, about)

    def _may_enter(self, scope: Scope) -> bool:
        if self._token is None:
            return True
        said = [value for name, value in scope["headers"] if name == b"authorization"]
        kind, _, token = (said[0] if len(said) == 1 else b"").partition(b" ")
        return hmac.compare_digest(token.strip(), self._token) and kind.lower() == b"bearer"


def _request_id(scope: Scope) -> str:
    """The client's id of the request if it is a plain one, else a new one."""
    said = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    text = said.decode("latin-1")
    return text if _ID.fullmatch(text) else uuid.uuid4().hex


async def _sent(message: Message, send: Send, receive: Receive) -> None:
    """Send a part of an answer, to nobody if the client has left."""
    try:
        await send(message)
    except RuntimeError as error:
        if _CLOSED not in str(error):
            raise
        while (await receive())["type"] != "http.disconnect":
            pass  # until the server is told, and sends no more


async def _refuse(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _write(scope: Scope, about: About) -> None:
    if not access.isEnabledFor(logging.INFO):
        return
    line = {
        "request_id": about.request_id,
        "client": (scope.get("client") or ("",))[0],
        "method": scope["method"],
        "path": shown(scope["path"]),
        "status": about.status,
        "milliseconds": round(about.seconds * 1000, 2),
        "pipeline": about.pipeline,
        "version": about.version,
        "rows": about.rows,
        "failed": about.failed,
    }
    if about.canary is not None:
        line["canary"] = asdict(about.canary)
    access.info("%s", json.dumps(line))
