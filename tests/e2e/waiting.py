"""Waiting for a running Airflow."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(ready: Callable[[], object], what: str, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.5)
