"""Files to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evergreen.look import look_at
from evergreen.sources.look.found import Look

LookAt = Callable[..., Look]


@pytest.fixture
def look(tmp_path: Path) -> LookAt:
    """Looks at a file with this content."""

    def look(content: str | bytes, name: str = "a.csv", encoding: str = "utf-8", most: int = 100_000) -> Look:
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return look_at(str(file), None, most)

    return look
