"""The generated pages in `docs/` say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_generated_pages_are_up_to_date() -> None:
    for name, page in runpy.run_path(str(DOCS / "catalogue.py"))["PAGES"].items():
        assert (DOCS / name).read_text() == page(), f"{name}: run `make docs`"
