"""The system's Chromium, found by its name or by `EVERGREEN_CHROMIUM`, and started without a window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = "EVERGREEN_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """The browser's program: the variable's, else the first of the usual names; None if there is none."""
    return shutil.which(os.environ[CHROMIUM]) if CHROMIUM in os.environ else _found()


def _found() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def launched() -> Iterator[Browser]:
    """A running browser, closed at the end."""
    from playwright.sync_api import sync_playwright

    # Chromium's own sandbox needs rights that root in a container lacks; what is opened is our own.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=options)
        yield browser
        browser.close()
