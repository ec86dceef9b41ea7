"""A browser for tests: the system's Chromium, driven by Playwright, as `make test-browser` has it.

Where Playwright or the browser is missing, the tests that ask for it are skipped and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.chromium import chromium, launched

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Open = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A running browser without a window."""
    if find_spec("playwright") is None:
        pytest.skip("no Playwright: make test-browser builds an environment with it")
    if chromium() is None:
        pytest.skip("no browser: install chromium, or name one in EVERGREEN_CHROMIUM")
    with launched() as running:
        yield running


@pytest.fixture
def tab(browser: Browser) -> Iterator[Open]:
    """Opens empty tabs: of a `width` in pixels, where the system's theme is `theme`, `light` or `dark`.

    Each is of its own visitor: it shares neither cookies nor storage with the others.
    """
    with ExitStack() as closed:

        def opened(theme: str = "light", width: int = 1280, **choices: Any) -> Page:
            context = browser.new_context(
                color_scheme=theme, viewport={"width": width, "height": 900}, **choices
            )
            closed.callback(context.close)
            return context.new_page()

        yield opened
