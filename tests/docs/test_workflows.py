"""What CI and the hooks before a commit call is there: targets, scripts, programs, files and options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import dropwhile
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT
from tests.docs.test_commands import TARGETS, wrong_usage

WORKFLOWS = {file.name: file.read_text() for file in sorted((ROOT / ".github/workflows").glob("*.yaml"))}
JOBS = [
    pytest.param(job, id=f"{name}: {title}")
    for name, text in WORKFLOWS.items()
    for title, job in yaml.safe_load(text)["jobs"].items()
]
HOOKS = [
    pytest.param(hook, id=hook["id"])
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repository["hooks"]
]
ON_RUNNERS = {"docker", "sudo", "tee"}
LOCKED = set(re.findall(r"^([\w-]+)==", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE))


def unknown(command: str) -> Iterator[str]:
    """What of a line for the shell is not there."""
    for call in re.split(r"&&|;|\|", command):
        program, *arguments = dropwhile(lambda word: word == "env" or "=" in word, shlex.split(call))
        if program == "make":
            named = [each for each in arguments if not each.startswith("-") and "=" not in each]
            yield from (f"make {target}" for target in named if target not in TARGETS)
        elif program == "bash":
            yield from (path for path in arguments if not (ROOT / path).is_file())
        elif program == ".venv/bin/evergreen":
            yield from filter(None, [wrong_usage(arguments)])
        elif program.removeprefix(".venv/bin/") not in (LOCKED if "/" in program else ON_RUNNERS):
            yield program


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("make --jobs=2 lint test JOBS=4", []),
        ("make lnt && bash .ci/rn", ["make lnt", ".ci/rn"]),
        ("env EVERGREEN_PIPELINES=ours .venv/bin/evergreen check --ofline", ["No such option: --ofline"]),
        (".venv/bin/rff check; curl x | sudo tee", [".venv/bin/rff", "curl"]),
    ],
)
def test_what_is_not_there_is_found(command: str, found: list[str]) -> None:
    assert [said.partition(" (")[0].partition(" Did")[0] for said in unknown(command)] == found


@pytest.mark.parametrize("job", JOBS)
def test_every_step_of_a_job_calls_what_is_there(job: dict[str, Any]) -> None:
    steps = job["steps"]
    assert [said for step in steps if "run" in step for said in unknown(step["run"])] == []
    used = [step["uses"] for step in steps if "uses" in step]
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@(v\d+|[0-9a-f]{40})", action)] == []
    assert 0 < job["timeout-minutes"] <= 300


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_read_the_code_and_nothing_else(name: str) -> None:
    workflow = yaml.safe_load(WORKFLOWS[name])
    assert workflow["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow["jobs"].values())
    assert "secrets." not in WORKFLOWS[name]
    hashed = re.findall(r"hashFiles\((.*?)\)", WORKFLOWS[name])
    files = [file for each in hashed for file in re.findall(r"'(.*?)'", each)]
    assert [file for file in files if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_calls_a_tool_of_the_environment(hook: dict[str, Any]) -> None:
    assert list(unknown(hook["entry"])) == []
    assert hook["language"] == "system"
    if "files" in hook:
        pattern = re.compile(hook["files"])
        assert any(pattern.search(str(file.relative_to(ROOT))) for file in (ROOT / "include").rglob("*"))
