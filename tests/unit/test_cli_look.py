"""`evergreen look`, in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evergreen import cli


def evergreen(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, ["look", *arguments])


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    file = tmp_path / "sales.csv"
    file.write_text("id;at;v\n1;2024-01-01;1,5\n2;2024-01-02;x\n3;2024-01-03;2,5\n")
    return file


def test_one_document(sales: Path) -> None:
    result = evergreen(str(sales), "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["yaml"].splitlines()[-1] == "      time_column: at"
    assert {**document, "yaml": None} == {
        "source": str(sales),
        "kind": "file",
        "rows": 3,
        "is_whole": True,
        "columns": [
            {"name": "id", "type": "float", "nulls": 0, "distinct": 3, "first": "1", "last": "3",
             "forced": None},
            {"name": "at", "type": "date", "nulls": 0, "distinct": 3, "first": "2024-01-01",
             "last": "2024-01-03", "forced": None},
            {"name": "v", "type": "text", "nulls": 0, "distinct": 3, "first": "1,5", "last": "2,5",
             "forced": {"place": "line 3", "value": "x", "kind": "number", "others": 2}},
        ],
        "keys": [["id"], ["at"]],
        "times": ["at"],
        "targets": [],
        "yaml": None,
        "encoding": "utf-8",
        "dialect": {"delimiter": ";", "decimal": ","},
        "told": {"decimal": "'1,5' of column 'v'"},
        "unsure": [],
        "rejected": 0,
        "first_rejected": None,
    }  # fmt: skip


def test_rows_that_are_left_out_are_said(sales: Path) -> None:
    with sales.open("a") as file:
        file.write("4;2024-01-04\n")
    lines = evergreen(str(sales)).stdout.splitlines()
    assert lines[:2] == [
        f"{sales}: all 3 rows",
        "rejected: 1, the first is sales.csv:5: has 2 fields instead of 3",
    ]
    with sales.open("a") as file:
        file.write("5;2024-01-05\n6;2024-01-06\n")
    assert evergreen(str(sales), "--rows", "1").stdout.startswith(f"{sales}: the first 1 row\n")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "line"),
    [
        (["nowhere.csv"], 1, "nowhere.csv cannot be read (No such file or directory)"),
        (["nowhere", "orders"], 1, "connection 'nowhere' is not defined"),
        (["iris.flower"], 1, "iris has no source 'flower' (there: flowers)"),
        (["iris.flowers", "--partition", "2024-01-01"], 2, "snapshot"),
        (["a.csv", "--rows", "0"], 2, "--rows"),
    ],
)
def test_what_cannot_be_looked_at_is_one_line(arguments: list[str], exit_code: int, line: str) -> None:
    result = evergreen(*arguments)
    assert result.exit_code == exit_code, result.output
    assert line in result.stderr
    assert result.stdout == ""


def test_a_source_of_a_pipeline() -> None:
    result = evergreen("iris.flowers")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("iris.flowers, partition snapshot: all 150 rows\n")
    assert "target: species (classification), " in result.stdout
    assert result.stdout.endswith("      path: flowers.csv\n      types: {flower: int}\n")
