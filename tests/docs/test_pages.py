"""Every command of the README and the tutorials is run as it stands there: `make test-docs`.

Each page has a fresh clone and an empty part of the storage. That the commands of the how-tos parse is tested
by `test_commands.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.embedded import serving
from deploy.embedded.stack import Stack
from tests.docs.conftest import WHOLE, checkout, variables
from tests.docs.pages import PAGES, ROOT, blocks
from tests.docs.session import Reader

pytestmark = [
    pytest.mark.skipif(not WHOLE, reason="the pages are typed for minutes: make test-docs"),
    pytest.mark.timeout(1800),
]

TYPED = [page for page in PAGES if page.parent.name != "how-to"]


@pytest.mark.parametrize("page", TYPED, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_typed_from_nothing_on(page: Path, stack: Stack, tmp_path: Path) -> None:
    clone = checkout(tmp_path / "evergreen")
    words = {"http://127.0.0.1:8100": serving.url(stack.ports)}
    reader = Reader(clone, variables(stack, clone, page.stem.lower()), words)
    try:
        for block in blocks(page):
            if block.runs and not block.not_run:
                print(f"\n{'=' * 8} {block.place}\n{block.text}{'-' * 8}\n{reader.read(block)}")
    finally:
        reader.close()
