"""Runs the HTTP server: its socket, the threads that follow champions, and a graceful end."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from evergreen.errors import EvergreenError, one_line
from evergreen.pipeline import Pipeline
from evergreen.serving.app import make_app
from evergreen.serving.entrance import Entrance
from evergreen.serving.follow import Follower
from evergreen.serving.limits import Limits
from evergreen.serving.log_writer import Bounds
from evergreen.serving.service import Serving

_log = logging.getLogger(__name__)

_MOST_HEADERS = 64 * 1024
"""Bytes of a request's headers."""

_SILENT = 5
"""So many looks in vain at the pointer make answers stale."""


@dataclass(frozen=True)
class Settings:
    """Where the server listens, how often it looks for a new champion, the token, and what requests may cost.

    `every` is in seconds. `log` says when what is logged is written, and how much of it may wait. At the end
    of the server, requests have `ending` seconds to end.
    """

    host: str = "127.0.0.1"
    port: int = 8100
    every: float = 2.0
    token: str | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)
    log: Bounds = field(default_factory=Bounds)
    ending: float = 30.0


class Server:
    """Answers for pipelines at `address`, from `run` until `stop`, SIGTERM or SIGINT.

    Listens as soon as it is made. Raises `EvergreenError` for an address that it may not or cannot listen at.
    """

    def __init__(self, pipelines: Sequence[Pipeline], settings: Settings) -> None:
        _check_secret(settings)
        self._settings = settings
        self._listener = _listening(settings)
        self._followers = {pipeline.name: Follower(pipeline) for pipeline in pipelines}
        self._serving = Serving(self._followers, settings.limits, settings.every * _SILENT, settings.log)
        entrance = Entrance(make_app(self._serving), settings.token, self._serving.told)
        self._server = uvicorn.Server(_config(entrance, settings))

    @property
    def address(self) -> str:
        """Where it answers, as `http://127.0.0.1:8100`."""
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self) -> None:
        """Follow the champions and answer; requests that are open at the end are still answered."""
        _log.info("%s: %s", ", ".join(self._followers), self.address)
        try:
            with (
                _writing(self._serving, self._settings.ending),
                _following(self._followers, self._settings.every),
                _ended_by_signals(),
            ):
                self._server.run(sockets=[self._listener])
        finally:
            self._listener.close()

    def stop(self) -> None:
        """End `run`, which may be in another thread."""
        self._server.should_exit = True


def _check_secret(settings: Settings) -> None:
    if settings.token is None and not _is_loopback(settings.host):
        raise EvergreenError(
            f"serve: {settings.host} can be reached by others: name the connection that has the token with "
            "--token, or listen at 127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listening(settings: Settings) -> socket.socket:
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        raise EvergreenError(
            f"serve: cannot listen at {settings.host}:{settings.port} ({one_line(error)}): choose "
            "another --port"
        ) from None
    return listener


@contextmanager
def _following(followers: dict[str, Follower], every: float) -> Iterator[None]:
    threads = [
        threading.Thread(target=follower.follow, args=(every,), name=f"follow {name}", daemon=True)
        for name, follower in followers.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for follower in followers.values():
            follower.stop()


@contextmanager
def _writing(serving: Serving, ending: float) -> Iterator[None]:
    """Ask the shadows, and write to the logs of requests.

    At the end what was answered is written, within `ending` seconds.
    """
    thread = threading.Thread(target=serving.writer.run, name="log of requests", daemon=True)
    thread.start()
    threading.Thread(target=serving.shadowing.run, name="shadows", daemon=True).start()
    try:
        yield
    finally:
        serving.turns.close()
        serving.shadowing.stop()
        serving.writer.stop()
        thread.join(ending)


def _config(entrance: Entrance, settings: Settings) -> uvicorn.Config:
    class Patient(_Impatient):
        seconds = settings.limits.sending

    return uvicorn.Config(
        entrance,
        http=Patient,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=round(settings.ending),
    )


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """The server's signals end it and nothing else; it raises them once more for who listened before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, lambda *_: None) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, listening in before.items():
            signal.signal(one, listening)


class _Impatient(HttpToolsProtocol):
    """Ends a connection whose headers do not come in time, or are too many."""

    seconds = 10.0
    _waiting: asyncio.TimerHandle | None = None
    _size = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waited()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._size = 0
        self._wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        if self._size > _MOST_HEADERS:
            self.transport.abort()
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._waited()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def _wait(self) -> None:
        self._waited()
        self._waiting = self.loop.call_later(self.seconds, self.transport.abort)

    def _waited(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
