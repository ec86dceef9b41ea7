"""What every page says can be typed: its commands parse, its targets, paths and links are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from evergreen.cli import app
from tests.docs.pages import PAGES, ROOT, blocks, evergreen_arguments

EVERY_PAGE = [*PAGES, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "adr").glob("*.md"))]
BLOCKS = [block for page in EVERY_PAGE for block in blocks(page)]
TARGETS = set(re.findall(r"^([.\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMAND = get_command(app)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def wrong_usage(arguments: list[str]) -> str | None:
    """What is wrong with a call of `evergreen`, down to its last command; nothing is run."""
    if arguments in (["--version"], ["--install-completion"]):
        return None
    command, rest, parent = COMMAND, arguments, None
    try:
        while isinstance(command, TyperGroup):
            parent = command.make_context(command.name or "evergreen", list(rest), parent=parent)
            _, command, rest = command.resolve_command(parent, [*parent._protected_args, *parent.args])
        command.make_context(command.name or "evergreen", list(rest), parent=parent)
    except typer.TyperException as error:
        return str(error.format_message())
    return None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ingest", "shop", "--nope"], "No such option: --nope"),
        (["models", "lst", "shop"], "No such command 'lst'"),
        (["score"], "Missing argument"),
        (["models", "show", "shop", "2024-01-01"], None),
    ],
)
def test_wrong_usage_is_found(arguments: list[str], said: str | None) -> None:
    found = wrong_usage(arguments)
    assert found is None if said is None else said in (found or "")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_call_of_evergreen_parses(page: Path) -> None:
    calls = [
        (block.place, arguments)
        for block in blocks(page)
        for command in block.commands()
        for arguments in evergreen_arguments(command)
    ]
    wrong = [(place, " ".join(each), said) for place, each in calls if (said := wrong_usage(each))]
    assert wrong == []


@pytest.mark.parametrize("page", EVERY_PAGE, ids=name)
def test_every_target_of_make_is_there(page: Path) -> None:
    named = re.findall(r"`make ([.a-z][.\w-]*)", _prose(page))
    for block in blocks(page):
        named += re.findall(r"^make ([.a-z][.\w-]*)", block.text, re.MULTILINE)
    assert [target for target in named if target not in TARGETS] == []


@pytest.mark.parametrize("page", EVERY_PAGE, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in _anchors(found)):
            broken.append(target)
    assert broken == []


def _prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain}


def test_a_block_that_is_not_run_says_why() -> None:
    reasons = {block.not_run for block in BLOCKS if block.not_run is not None}
    assert [reason for reason in reasons if len(reason.split()) < 3] == []
