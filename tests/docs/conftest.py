"""The embedded stack and clones of the repository, for pages that are typed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.home import Home
from deploy.embedded.s3 import BUCKET
from deploy.embedded.stack import Stack, down, up
from tests.docs.pages import PAGES, ROOT, blocks

WHOLE = "EVERGREEN_DOCS" in os.environ


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack on free ports, as `make up` leaves it."""
    home = Home(tmp_path_factory.mktemp("docs") / "home")
    with pytest.MonkeyPatch.context() as variables:
        for name in list(os.environ):
            if name.startswith(("EVERGREEN_", "AWS_", "AIRFLOW_")):
                variables.delenv(name)
        variables.setenv("EVERGREEN_PORTS", "free")
        variables.setenv("EVERGREEN_HOME", str(home.root))
        try:
            yield up(home)
        finally:
            down(home)


def checkout(folder: Path) -> Path:
    """A folder like that of a fresh clone, whose pipelines are its own."""
    folder.mkdir()
    for each in ROOT.iterdir():
        if each.name not in (".git", ".evergreen", "include"):
            (folder / each.name).symlink_to(each)
    (folder / "include").mkdir()
    (folder / "include" / "evergreen").symlink_to(ROOT / "include" / "evergreen")
    shutil.copytree(ROOT / "include" / "pipelines", folder / "include" / "pipelines")
    return folder


def variables(stack: Stack, clone: Path, prefix: str) -> dict[str, str]:
    """What makes the commands of a clone use the stack, with a part of its storage for itself."""
    return {
        "EVERGREEN_HOME": str(stack.home.root),
        "EVERGREEN_STORAGE": f"s3://{BUCKET}/{prefix}",
        "EVERGREEN_PIPELINES": str(clone / "include" / "pipelines"),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which blocks were not run, and why."""
    if not WHOLE:
        return
    terminalreporter.section("blocks that are not run")
    for page in (page for page in PAGES if page.parent.name != "how-to"):
        for block in blocks(page):
            if block.not_run and block.runs:
                terminalreporter.line(f"{block.place}: {block.not_run}")
