"""The pace of requests: no more of them in a time than a source declares."""

from __future__ import annotations

import threading
import time

from evergreen.errors import UnavailableError
from evergreen.sources.http.description import Rate


class Pace:
    """Requests at even distances, whichever thread sends them; without a rate there is no wait."""

    def __init__(self, rate: Rate | None = None) -> None:
        self._distance = rate.per / rate.times if rate else 0.0
        self._next, self._lock = 0.0, threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End every wait."""
        self._stopped.set()

    def wait(self, longest: float) -> None:
        """Wait for one's turn; raises `UnavailableError` if it comes later than in `longest` seconds."""
        if not self._distance:
            return
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + self._distance
        pause = turn - time.monotonic()
        if pause > longest:
            raise UnavailableError(
                "the source's rate leaves no time for its requests: raise its 'timeout' or 'rate'"
            )
        self._stopped.wait(max(0.0, pause))
