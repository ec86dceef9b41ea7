"""Patterns that are walked folder by folder match as Python's `glob` does."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evergreen.sources.files.patterns import Entry, Pattern

NAMES = ["a.csv", "b1.csv", ".h.csv", "x/a.csv", "x/y/a.csv", "x/y/.h", "x/.z/a.csv", "x/[1].csv", "y/x/z/1"]
PARTS = st.sampled_from(
    ["**", "*", "?", "*.csv", "x", "y", "a.csv", ".*", ".z", "[xy]", "[!x]*", "none", "[[]1*"]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def entries(folder: Path, listed: list[str]):
    def of(path: str) -> list[Entry]:
        listed.append(path)
        if not (folder / path).is_dir():
            return []
        return [Entry(one.name, one.is_dir(), one.is_symlink()) for one in os.scandir(folder / path)]

    return of


@given(st.lists(PARTS, min_size=1, max_size=4).map("/".join))
@example("*/**")
@example("**/x/**")
def test_a_pattern_matches_as_glob_does(folder, pattern):
    found = glob.glob(pattern, root_dir=folder, recursive=True)
    # It takes `a.csv/` for what `a.csv/**` matches.
    local = {name for name in found if (folder / name).is_file() and not name.endswith("/")}
    assert Pattern(pattern).below("", entries(folder, [])) == sorted(local)
    assert {name for name in NAMES if Pattern(pattern).matches(name)} == local


def test_only_folders_that_can_match_are_listed(folder):
    listed: list[str] = []
    assert Pattern("x/*/a.csv").below("", entries(folder, listed)) == ["x/y/a.csv"]
    assert listed == ["x/", "x/y/"]


def test_a_circle_of_links_ends(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.csv").write_text("x")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert Pattern("**/*.csv").below("", entries(tmp_path, [])) == ["a/b.csv"]
    assert Pattern("a/up/a/*.csv").below("", entries(tmp_path, [])) == ["a/up/a/b.csv"]
