from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.sources.tables.written import Written, WrittenIceberg

KINDS = {"delta": Written, "iceberg": WrittenIceberg}


@pytest.fixture(params=KINDS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Written:
    """A table of every kind, without rows as yet."""
    return KINDS[request.param](tmp_path)
