"""The Makefile's contract: the targets, and a clear word to who has the wrong interpreter."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TARGETS = (
    "demo",
    "up",
    "load",
    "down",
    "test",
    "lint",
    "bench",
    "clean",
    "lock",
    "help",
    "status",
    "campaign",
)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_help_lists_the_targets() -> None:
    answer = make("help")
    assert answer.returncode == 0
    assert [name for name in TARGETS if f"make {name} " not in answer.stdout] == []


def test_a_missing_interpreter_is_named() -> None:
    answer = make("PYTHON=no-such-python", "check-python")
    assert answer.returncode != 0
    assert "'no-such-python' is missing: name another one" in answer.stderr


@pytest.mark.parametrize(
    ("version", "accepted"), [("3, 10", False), ("3, 11", True), ("3, 13", True), ("3, 14", False)]
)
def test_only_the_versions_that_the_requirements_are_made_for(
    tmp_path: Path, version: str, accepted: bool
) -> None:
    python = tmp_path / "python"
    # An interpreter of another version, as far as the Makefile can see.
    pretend = f"import sys; sys.version_info = ({version}, 0); exec(sys.argv[1])"
    python.write_text(f'#!/bin/sh\nexec python3 -c "{pretend}" "$2"\n')
    python.chmod(0o755)
    answer = make(f"PYTHON={python}", "check-python")
    assert (answer.returncode == 0) == accepted, answer.stderr
    if not accepted:
        assert f"is {version.replace(', ', '.')}: name another one" in answer.stderr
