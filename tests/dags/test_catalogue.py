"""The generated pages in `docs/` say what the code says."""

from __future__ import annotations

from pathlib import Path

from docs.catalogue import PAGES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_generated_pages_are_up_to_date() -> None:
    for name, page in PAGES.items():
        assert (DOCS / name).read_text() == page(), f"{name}: run `make docs`"
