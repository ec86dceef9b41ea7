"""Kills an attempt at a moment that its calls to the S3 server tell."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.faults.s3_proxy import Call


class Killer:
    """Kills an attempt when it makes the call `number` of a phase (from 0) to the S3 server.

    `look` is for the proxy's `watch`, `arm` for the `opened` of `Forks.run`.
    """

    def __init__(self, phase_of: Callable[[Call], str], phase: str, number: int = 0) -> None:
        self._phase_of, self._phase, self._left = phase_of, phase, number
        self._armed = threading.Event()
        self._lock = threading.Lock()

    def arm(self, kill: Callable[[], None]) -> None:
        """Take the function that kills the attempt; calls wait for it."""
        self._kill = kill
        self._armed.set()

    def look(self, call: Call) -> None:
        """See a call, before it reaches the server."""
        self._armed.wait(120)
        if self._phase_of(call) == self._phase:
            with self._lock:
                if self._left == 0:
                    self._kill()
                self._left -= 1
