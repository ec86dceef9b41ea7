"""Tests that run in forked processes: by file or folder, and what becomes of those of a killed process."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CONFTEST = """
import os
import pytest
from tests.spread import Spread

def pytest_configure(config):
    config.pluginmanager.register(Spread(2, ["shared/"]))

@pytest.fixture(autouse=True)
def process(record_property, tmp_path):
    record_property("process", os.getpid())

@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made", numbered=False)
    yield folder
    folder.rename("put away by " + str(os.getpid()))
"""
PASSES = """
def test_one(made):
    print("nobody reads this")

def test_two(made):
    pass
"""
FAILS = """
import warnings

def test_it_fails():
    print("said by the test")
    warnings.warn("told to a person")
    assert 1 == 2
"""
DIES = """
import os

def test_before():
    pass

def test_it_dies():
    os.kill(os.getpid(), 9)

def test_after():
    pass
"""


def run(folder: Path, files: dict[str, str], *options: str) -> tuple[str, dict[str, ElementTree.Element]]:
    """What pytest printed of these tests, and each test in its report."""
    for name, text in {
        "conftest.py": CONFTEST,
        "pytest.ini": "[pytest]\njunit_family=xunit1",
        **files,
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", "--junitxml=report.xml", *options]
    # Not the folder of the tests around these: pytest closes it to others, like PostgreSQL's user.
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DEBUG_TEMPROOT": str(folder)}
    ran = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    cases = ElementTree.parse(folder / "report.xml").iter("testcase")
    return ran.stdout, {f"{case.get('classname')}.{case.get('name')}": case for case in cases}


def process_of(case: ElementTree.Element) -> str:
    return next(each.get("value", "") for each in case.iter("property"))


def test_a_process_has_whole_files_and_whole_folders_that_share(tmp_path: Path) -> None:
    files = {"test_a.py": PASSES, "test_b.py": PASSES, "shared/test_c.py": PASSES, "shared/test_d.py": PASSES}
    printed, cases = run(tmp_path, files)
    assert "8 passed" in printed
    assert "nobody reads this" not in printed
    processes: dict[str, set[str]] = {}
    for name, case in cases.items():
        processes.setdefault(name.split(".")[0], set()).add(process_of(case))
    assert {group: len(ran) for group, ran in processes.items()} == {"test_a": 1, "test_b": 1, "shared": 1}
    used = set.union(*processes.values())
    assert len(used) == 2
    # What lasts for a session is made, and put away, by each process for itself.
    assert {each.name for each in tmp_path.glob("put away by *")} == {f"put away by {one}" for one in used}


def test_what_came_of_a_test_is_told_as_pytest_tells_it(tmp_path: Path) -> None:
    printed, _ = run(tmp_path, {"test_a.py": PASSES, "test_fails.py": FAILS, "test_other.py": PASSES})
    assert "1 failed, 4 passed, 1 warning" in printed
    for said in ("assert 1 == 2", "said by the test", "told to a person"):
        assert said in printed


def test_the_first_failure_ends_the_run_if_asked(tmp_path: Path) -> None:
    files = {f"test_{number}.py": FAILS for number in range(9)}
    printed, cases = run(tmp_path, files, "-x")
    assert "stopping after" in printed
    assert 1 <= len(cases) <= 2


@pytest.mark.parametrize("dies", [DIES, DIES.replace("os.kill(os.getpid(), 9)", "os._exit(0)")])
def test_a_process_that_dies_fails_its_tests_and_another_one_goes_on(tmp_path: Path, dies: str) -> None:
    printed, cases = run(tmp_path, {"test_1.py": dies, "test_2.py": dies, "test_3.py": PASSES})
    assert "4 failed, 4 passed" in printed
    failed = {name for name, case in cases.items() if case.find("failure") is not None}
    assert failed == {f"test_{n}.test_{test}" for n in (1, 2) for test in ("it_dies", "after")}
    assert "before its tests had ended" in printed
