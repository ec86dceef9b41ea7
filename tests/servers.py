"""Starting servers on this machine."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest


def unused_port() -> int:
    """A port of 127.0.0.1 at which nobody listens just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(
    connect: Callable[[], object], server: subprocess.Popen[bytes], log: Path, patience: float = 120
) -> None:
    """Wait until a server that was just started answers; fail with the end of its log if it does not."""
    problem: Exception | None = None
    for _ in range(int(patience / 0.1)):
        if server.poll() is not None:
            break
        try:
            connect()
        except Exception as error:  # noqa: BLE001 - each client has errors of its own
            problem = error
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the server did not start ({problem}):\n{log.read_text()[-2000:]}")
