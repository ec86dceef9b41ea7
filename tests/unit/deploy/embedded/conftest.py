"""A home of its own for each test, in which nothing is left running."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded import processes
from deploy.embedded.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = Home(tmp_path)
    found.create()
    yield found
    for name in processes.started(found):
        processes.stop(found, name, signal.SIGKILL)
