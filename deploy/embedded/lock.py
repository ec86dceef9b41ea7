"""The lock of a home: one program at a time starts or stops what runs there."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from deploy.embedded.home import Home


@contextmanager
def held(home: Home) -> Iterator[None]:
    """Hold it; waits, and says so, while another program does."""
    with home.lock_file.open("w") as file:
        if not _taken(file):
            print(f"Waiting for another 'make up' or 'make down' in {home.root}", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def held_if_free(home: Home) -> Iterator[bool]:
    """Hold it unless another program does; tells which."""
    with home.lock_file.open("w") as file:
        yield _taken(file)


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
