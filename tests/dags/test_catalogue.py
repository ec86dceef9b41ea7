"""`docs/dags.md` says what the DAGs say."""

from __future__ import annotations

import runpy
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_catalogue_is_up_to_date() -> None:
    catalogue = runpy.run_path(str(REPOSITORY / "docs" / "catalogue.py"))["catalogue"]
    assert (REPOSITORY / "docs" / "dags.md").read_text() == catalogue(), "run `make docs`"
