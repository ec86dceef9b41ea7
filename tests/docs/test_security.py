"""Every test that docs/security.md names is there, and every threat names one."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
ROWS = [line for line in PAGE.partition("## Airflow")[2].splitlines() if line.startswith("| ")]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)


@functools.cache
def functions_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_each_test_that_is_named_is_there() -> None:
    assert len(NAMED) > 40
    assert [f"{file}::{name}" for file, name in NAMED if name not in functions_of(ROOT / file)] == []


def test_each_threat_names_a_test() -> None:
    assert [row for row in ROWS if "::test_" not in row and not row.startswith("| threat")] == []
