"""A server that runs in a thread of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from evergreen.alerts.served import ServedAlerts
from evergreen.pipeline import Pipeline
from evergreen.serving.listening import Settings, address_of, listening
from evergreen.serving.server import Server


@contextmanager
def running(
    *pipelines: Pipeline, wait: bool = True, alerts: bool = False, **settings: Any
) -> Iterator[httpx.Client]:
    """A client of a server for the pipelines at a free port, once it is ready."""
    chosen = Settings(**{"port": 0, "every": 0.1, **settings})
    listener = listening(chosen)
    alert = ServedAlerts(pipelines, chosen.patience) if alerts else None
    server, address = Server(pipelines, chosen, listener, alert=alert), address_of(listener)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        with httpx.Client(base_url=address, timeout=60) as client:
            if wait:
                wait_for(lambda: client.get("/ready").status_code == 200)
            yield client
    finally:
        server.stop()
        thread.join(60)
        assert not thread.is_alive()


def wait_for(holds: Callable[[], bool]) -> None:
    """Wait until something holds, but not for ever."""
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to hold")
