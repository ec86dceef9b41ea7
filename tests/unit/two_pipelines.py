"""Two small pipelines in a folder, and the command that is run on them in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evergreen import cli

KINDS = """\
name: kinds
description: Two kinds of things
owner: lab
schedule: "0 3 * * 1"
partition: snapshot
sources:
  things: {file: {path: things.csv}}
key: [thing]
task: classification
target: kind
training:
  metric: accuracy
  candidates:
    - {estimator: sklearn.linear_model.LogisticRegression}
"""
DAILY = """\
name: daily
description: One row a day
owner: lab
schedule: "0 3 * * *"
start: 2011-01-01
partition: daily
sources:
  rows: {file: {path: "{partition}.csv", time_column: at}}
task: regression
target: y
training:
  metric: mae
  holdout: 1 days
  minimum: 9 partitions
  candidates:
    - {estimator: sklearn.linear_model.Ridge}
"""


class Evergreen:
    """Runs the command in this process."""

    def __call__(self, *arguments: str) -> Any:
        return CliRunner().invoke(cli.app, arguments)

    def document(self, *arguments: str, exit_code: int = 0) -> Any:
        """The one document on standard output."""
        result = self(*arguments, "--json")
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)

    def line(self, *arguments: str, exit_code: int = 1) -> str:
        """The one line on standard error; nothing is on standard output."""
        result = self(*arguments)
        assert (result.exit_code, result.stdout) == (exit_code, ""), result.output
        (line,) = result.stderr.splitlines()
        return str(line)


@pytest.fixture
def evergreen() -> Evergreen:
    return Evergreen()


@pytest.fixture
def pipelines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "pipelines"
    for name, text in (("kinds", KINDS), ("daily", DAILY)):
        (folder / name).mkdir(parents=True)
        (folder / name / "pipeline.yaml").write_text(text)
    write_kinds(folder)
    for name, column in (("kinds", "kind"), ("daily", "y")):
        suite = f"- expect_column_values_to_not_be_null: {{column: {column}}}\n  severity: critical\n"
        (folder / name / "expectations.yaml").write_text(suite)
    for day in range(1, 4):
        (folder / "daily" / f"2011-01-0{day}.csv").write_text(
            f"at,x,y\n2011-01-0{day}T00:00:00Z,{day}.5,{day}.0\n"
        )
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(folder))
    return folder


def write_kinds(folder: Path, mix: Callable[[int], int] = lambda number: number % 2) -> None:
    rows = [f"t{n},{mix(n) * 5 + n % 7 / 10},{'ab'[n % 2]}" for n in range(60)]
    (folder / "kinds" / "things.csv").write_text("\n".join(["thing,size,kind", *rows, ""]))
