"""Where a server listens, and what it is told when it starts."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field

from evergreen.errors import EvergreenError, one_line
from evergreen.serving.limits import Limits
from evergreen.serving.log_writer import Bounds

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

    @property
    def patience(self) -> float:
        """Seconds for which the storage may be silent; then answers are stale."""
        return self.every * _SILENT


def listening(settings: Settings) -> socket.socket:
    """The socket that connections come to.

    Raises `EvergreenError` for an address that can be reached by others without a token, or that is taken.
    """
    if settings.token is None and not _is_loopback(settings.host):
        raise EvergreenError(
            f"serve: {settings.host} can be reached by others: name the connection that has the token with "
            "--token, or listen at 127.0.0.1"
        )
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


def address_of(listener: socket.socket) -> str:
    """Where a socket listens, as `http://127.0.0.1:8100`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
