"""Every page can be read and used: by axe-core, in both themes, on a desk and on a phone."""

from __future__ import annotations

from functools import cache

import pytest

from tests.browser.accessibility import findings
from tests.browser.conftest import Open
from tests.browser.pages import PAGES

WIDTHS = (390, 1280)
THEMES = ("light", "dark")


@cache
def html(page: str) -> str:
    return PAGES[page]()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("page", PAGES)
def test_nothing_keeps_people_from_reading_it(tab: Open, page: str, theme: str, width: int) -> None:
    shown = tab(theme, width)
    shown.set_content(html(page))
    assert findings(shown) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_phone_scrolls_down_and_not_aside(tab: Open, page: str) -> None:
    shown = tab(width=390)
    shown.set_content(html(page))
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
