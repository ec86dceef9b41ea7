"""The tests see a guard that is broken: shown in a copy of the repository by `make campaign ONLY=guards`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign import FULL, ROOT
from tests.guards.mutations import MUTATIONS, Mutation

COPIED = ("benchmarks", "dags", "deploy", "docs", "include", "plugins", "tests")
SERVER = ".venv-s3"


def test_each_guard_is_where_the_table_says() -> None:
    found = {each.name: (ROOT / each.file).read_text().count(each.guard) for each in MUTATIONS}
    assert {name: count for name, count in found.items() if count != 1} == {}
    assert [test for each in MUTATIONS for test in each.seen_by if not (ROOT / test).exists()] == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the repository, which may be broken."""
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / SERVER).symlink_to(ROOT / SERVER)
    return tmp_path


@pytest.mark.skipif(not FULL, reason="runs the tests again for every guard: make campaign ONLY=guards")
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_broken_guard_is_seen(mutation: Mutation, copy: Path, tell) -> None:
    file = copy / mutation.file
    file.write_text(file.read_text().replace(mutation.guard, mutation.broken))
    named = {test: failed(copy, test) for test in mutation.seen_by}
    tell(f"{mutation.name}: {'; '.join(f'{test}: {names}' for test, names in named.items())}")
    assert [test for test, names in named.items() if not names] == []


def failed(copy: Path, test: str) -> list[str]:
    """The tests of a file that fail in the copy, as `make test` would run them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EVERGREEN_")}
    paths = os.pathsep.join(str(copy / name) for name in ("include", "plugins"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "--tb=no", test],
        cwd=copy,
        env={**kept, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    return sorted({line.split("::")[-1].partition("[")[0].partition(" - ")[0] for line in lines})
