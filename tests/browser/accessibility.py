"""What axe-core finds on a page that keeps people from reading or using it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

_GRAVE = ("serious", "critical")


def findings(page: Page) -> list[str]:
    """Every serious or critical finding of axe-core, as one line each: rule, place, and what is wrong."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {' '.join(map(str, node['target']))}: {' '.join(node['failureSummary'].split())}"
        for violation in found
        if violation["impact"] in _GRAVE
        for node in violation["nodes"]
    ]
