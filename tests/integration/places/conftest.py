"""How the tests of places read files: by `locate`, without pauses between attempts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tenacity import wait_none

from evergreen.connections import Connection
from evergreen.sources.files.locate import LocatedFile, locate
from evergreen.sources.files.places import ranges

SECRET = "planted-secret-7f3a"

Find = Callable[..., list[LocatedFile]]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "BACKOFF", wait_none())


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """The files of a path by a connection, for the partition 2024-01-31 or another snapshot's key."""

    def find(path: str, connection: Connection | None, partition: str = "2024-01-31") -> list[LocatedFile]:
        return locate(path, tmp_path, None, partition, None, connection=connection)  # type: ignore[arg-type]

    return find


def content(file: LocatedFile) -> bytes:
    """The bytes of a file."""
    with file.open() as opened:
        return opened.read()
