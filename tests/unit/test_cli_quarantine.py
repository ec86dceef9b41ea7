from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from evergreen.cli import quarantine
from evergreen.ingestion.stage import ingest
from evergreen.lake import Table
from evergreen.pipeline import Pipeline

DAY, NEXT = "2011-01-01", "2011-01-02"
DAILY = """\
name: daily
description: Sales by the hour
owner: lab
schedule: "@daily"
start: 2011-01-01
partition: daily
sources:
  rows: {file: {path: "{partition}.csv", time_column: at}}
validation: {max_quarantined: 60%}
task: regression
target: y
training: {metric: mae, candidates: [{estimator: sklearn.linear_model.Ridge}]}
"""
SUITE = """\
- expect_column_values_to_be_between: {column: y, min_value: 0}
  severity: warning
- expect_column_values_to_not_be_null: {column: who}
  severity: warning
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The description of a pipeline of two days: the first has two bad rows, one of them doubly so."""
    folder = tmp_path / "pipelines" / "daily"
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(DAILY)
    (folder / "expectations.yaml").write_text(SUITE)
    for day, rows in ((DAY, ("1,ann", "2,bo", "-3,cy", "-4,")), (NEXT, ("1,ann", "2,bo"))):
        lines = [f"{day}T0{hour}:00:00Z,{row}" for hour, row in enumerate(rows)]
        (folder / f"{day}.csv").write_text("\n".join(["at,y,who", *lines, ""]))
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(folder.parent))
    return folder


@pytest.fixture
def pipeline(folder, configured):
    opened = Pipeline.open("daily")
    ingest(opened, [DAY, NEXT])
    return opened


def run(*arguments):
    app = typer.Typer()
    quarantine.add_to(app)
    return CliRunner().invoke(app, ["quarantine", *arguments])


def document(*arguments, exit_code=0):
    result = run(*arguments, "--json")
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def line(*arguments, exit_code=1):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (exit_code, ""), result.output
    (text,) = result.stderr.splitlines()
    return text


BETWEEN, NOT_NULL = "expect_column_values_to_be_between(y)", "expect_column_values_to_not_be_null(who)"


def test_partitions_are_listed_with_what_their_rows_break(pipeline):
    assert document("list", "daily") == {
        "pipeline": "daily",
        "partitions": [{"partition": DAY, "rows": 2, "expectations": {BETWEEN: 2, NOT_NULL: 1}}],
    }
    assert f"2 x {BETWEEN}, 1 x {NOT_NULL}" in run("list", "daily").stdout


def test_a_row_is_shown_with_all_its_values(pipeline):
    found = document("show", "daily", "--partition", DAY)
    assert (found["pipeline"], found["partition"]) == ("daily", DAY)
    first, second = found["rows"]
    assert first["values"] == {"at": f"{DAY}T02:00:00+00:00", "y": -3.0, "who": "cy"}
    assert (first["expectation"], first["place"], first["correction"]) == (BETWEEN, "", None)
    assert first["reason"] == "y is -3.0 (asked: min_value 0)"
    assert second["expectation"] == f"{BETWEEN}; {NOT_NULL}"
    assert document("show", "daily") == found
    assert first["id"] in run("show", "daily").stdout
    assert document("show", "daily", "--partition", NEXT)["rows"] == []


def test_corrected_rows_are_released_and_what_still_breaks_something_exits_with_3(pipeline, tmp_path):
    first, second = document("show", "daily")["rows"]
    file = tmp_path / "corrected.jsonl"
    file.write_text(f'{{"id": "{first["id"]}", "y": 3}}\n\n{{"id": "{second["id"]}", "y": 4}}\n')
    found = document("release", "daily", "--from", str(file), "--reason", "a sign", exit_code=3)
    assert found["released"] == [first["id"]]
    assert [row["id"] for row in found["remaining"]] == [second["id"]]
    assert (found["partition"], found["rows"], found["quarantined"], found["changed"]) == (DAY, 3, 1, True)
    (left,) = document("show", "daily")["rows"]
    assert left["id"] == second["id"]
    assert left["correction"] | {"by": "-"} == {
        "id": second["id"],
        "original": second["row"],
        "place": "",
        "corrected": {"y": 4.0},
        "by": "-",
        "reason": "a sign",
    }
    file.write_text(f'{{"id": "{second["id"]}", "y": 4.5, "who": "di\u2028di"}}')
    found = document("release", "daily", "--partition", DAY, "--id", second["id"], "--from", str(file))
    assert (found["released"], found["remaining"], found["quarantined"]) == ([second["id"]], [], 0)
    rows = pipeline.lake.read(Table.PARTITIONS, DAY, DAY).sort_by("at").to_pylist()
    assert [(row["y"], row["who"]) for row in rows] == [(1, "ann"), (2, "bo"), (3, "cy"), (4.5, "di\u2028di")]


def test_rows_are_released_as_they_are_once_they_hold(pipeline, folder):
    ids = [row["id"] for row in document("show", "daily")["rows"]]
    found = document("release", "daily", exit_code=3)
    assert (found["released"], [row["id"] for row in found["remaining"]]) == ([], ids)
    assert not found["changed"]
    (folder / "expectations.yaml").write_text(SUITE.replace("min_value: 0", "min_value: -9"))
    result = run("release", "daily", "--id", ids[0])
    assert result.exit_code == 0, result.output
    assert "released" in result.stdout
    (left,) = document("show", "daily")["rows"]
    assert (left["id"], left["expectation"]) == (ids[1], NOT_NULL)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "nothing to release"),
        (b"\xff", "cannot be read"),
        (b'\n{"y": 3}', 'corrected.jsonl:2: no JSON object with an "id"'),
        (b"y", "corrected.jsonl:1: no JSON object"),
        (b"[" * 100_000, "corrected.jsonl:1: no JSON object"),
        (b'{"id": "a"}\n{"id": "a"}', "corrected.jsonl:2: row a is given twice"),
        (b'{"id": "a"}', "daily 2011-01-01: no row 'a' in quarantine: see evergreen quarantine show daily"),
        (b'{"id": "ID", "y": "3"}', "row ID: column 'y': \"3\" is no double: fix the corrected value"),
        (b'{"id": "ID", "why": 3}', "row ID: there is no column 'why' (there: at, y, who)"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_one_line(pipeline, tmp_path, content, problem):
    one = document("show", "daily")["rows"][0]["id"]
    file = tmp_path / "corrected.jsonl"
    file.write_bytes(content.replace(b"ID", one.encode()))
    result = run("release", "daily", "--from", str(file))
    assert problem.replace("ID", one) in result.output
    assert result.exit_code == (0 if not content else 1)
    assert "Traceback" not in result.output
    assert pipeline.storage.list("daily/corrections/") == []


def test_a_file_that_is_not_there_is_named(pipeline, tmp_path):
    assert "none.jsonl cannot be read" in line("release", "daily", "--from", str(tmp_path / "none.jsonl"))


def test_an_empty_quarantine_is_told(folder, configured):
    assert document("list", "daily") == {"pipeline": "daily", "partitions": []}
    assert "daily: no row is in quarantine" in line("show", "daily")
    assert "daily: no row is in quarantine" in line("release", "daily")


def test_a_partition_that_cannot_be_is_wrong_usage(pipeline):
    assert run("show", "daily", "--partition", "2011-13-01").exit_code == 2
    assert run("release", "daily", "--partition", "soon").exit_code == 2
