"""`evergreen labels`, in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evergreen import cli
from evergreen.lake import Table
from evergreen.storage import Storage
from tests.unit.labels.conftest import Lender, day, loans, write_lender


@pytest.fixture
def lender(tmp_path: Path, configured: Storage, monkeypatch: pytest.MonkeyPatch) -> Lender:
    """Eight published days of loans, whose labels lie in place."""
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path / "pipelines"))
    lender = Lender(write_lender(tmp_path / "pipelines"), configured)
    lender.publish(0, 8)
    for number in range(8):
        lender.label(number)
    return lender


def evergreen(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, ["labels", "lender", *arguments])


def test_the_newest_partition_s_night_is_the_default(lender: Lender) -> None:
    result = evergreen("--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "pipeline": "lender",
        "partitions": [
            {
                "partition": day(2),
                "labels": 6,
                "rows": 6,
                "labelled": 6,
                "without_row": 0,
                "left_out": 0,
                "changed": True,
            }
        ],
    }
    assert lender.labels() == {day(2): loans(2)["late"].tolist()}


def test_a_range_of_nights_and_a_table_for_people(lender: Lender) -> None:
    result = evergreen("--partition", day(5), "--to", day(7))
    assert result.exit_code == 0, result.output
    assert [line for line in result.stdout.splitlines() if "2024-01-0" in line and "True" in line]
    assert lender.pipeline.lake.partitions(Table.LABELS) == [day(0), day(1), day(2)]


def test_nothing_due_is_no_failure_and_a_refusal_is_one_line(lender: Lender) -> None:
    early = evergreen("--partition", day(4))
    assert early.exit_code == 0
    assert "no labels are due: those of 2023-12-31 would be" in early.stdout
    lender.label(0, "loan,granted_at,late\n" + f"0,{day(0)}T09:00Z,true\n" * 2)
    refused = evergreen("--partition", day(5))
    assert (refused.exit_code, refused.stdout) == (3, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith(
        "evergreen: lender 2024-01-01: labels: 1 values of loan have more than one label: 0 (2"
    )
    assert evergreen("--partition", "yesterday").exit_code == 2
    assert evergreen("--partition", day(7), "--to", day(5)).exit_code == 2


def test_before_anything_is_published_the_partition_must_be_named(lender: Lender) -> None:
    lender.pipeline.lake.replace(
        Table.PARTITIONS,
        {day(n): lender.pipeline.lake.schema(Table.PARTITIONS).empty_table() for n in range(8)},
    )
    result = evergreen()
    assert result.exit_code == 1
    assert "no partition is published yet: run evergreen ingest lender first" in result.stderr
