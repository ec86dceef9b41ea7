"""A real PostgreSQL and a real S3 server for one benchmark, on free ports, removed afterwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.embedded import environment
from deploy.embedded.home import Home
from deploy.embedded.stack import Stack, down, up_stores


@contextmanager
def stores() -> Iterator[Stack]:
    """Both servers, running; their variables are set, and the environment is restored at the end."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="evergreen-bench-") as folder:
        home = Home(Path(folder) / "home")
        try:
            os.environ["EVERGREEN_PORTS"] = "free"
            stack = up_stores(home, say=lambda text: None)
            os.environ.update(environment.read(home))
            yield stack
        finally:
            down(home, say=lambda text: None)
            os.environ.clear()
            os.environ.update(before)
