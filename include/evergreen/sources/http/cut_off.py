"""The deadline of a client's requests, kept also against a server that answers byte by byte."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any


class CutOff:
    """Shuts down a client's connection after so many seconds.

    The time-outs of a client count from byte to byte, so an answer that drips never reaches them. Requests
    that are to be cut off are sent with `extensions`, one at a time.
    """

    def __init__(self, seconds: float) -> None:
        self._socket: socket.socket | None = None
        self._over = threading.Event()
        self._alarm = threading.Timer(max(0.0, seconds), self.now)
        self._alarm.daemon = True
        self._alarm.start()

    @property
    def extensions(self) -> dict[str, Any]:
        """The extensions of a request of httpx, by which its connection becomes known here."""
        return {"trace": self.note}

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return self._over.is_set()

    def now(self) -> None:
        """Let the deadline be now, which ends a request of another thread."""
        self._over.set()
        self._hang_up()

    def cancel(self) -> None:
        """Forget the deadline."""
        self._alarm.cancel()

    def note(self, event: str, info: dict[str, Any]) -> None:
        """Take the connection of a request from an event of its trace."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.over:
                self._hang_up()

    def _hang_up(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                # Not the TLS socket's own shutdown, which is not made for another thread's use.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
