"""The pictures of the pages are those that `make pictures` takes, and each is seen on a page."""

from __future__ import annotations

import re

from docs.pictures import IMAGES, MOST_BYTES, PICTURES
from tests.docs.pages import ROOT

SHOWN = {
    (page.parent / target).resolve()
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for target in re.findall(r"!\[[^]]+\]\(([^)\s]+\.png)\)", page.read_text(encoding="utf-8"))
}


def test_every_picture_is_taken_by_the_script_and_shown_on_a_page() -> None:
    taken = {picture.file for picture in PICTURES}
    assert len(taken) == len(PICTURES)
    assert taken == set(IMAGES.glob("*.png")) == SHOWN


def test_a_picture_is_small() -> None:
    assert [each.name for each in PICTURES if each.file.stat().st_size > MOST_BYTES] == []
