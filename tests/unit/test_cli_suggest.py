from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from evergreen.cli import expectations, models
from evergreen.description import read_yaml
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.storage import Storage

FLOWERS = Path(__file__).resolve().parents[2] / "include" / "pipelines" / "iris" / "flowers.csv"


@pytest.fixture
def run(configured: Storage):
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    expectations.add_to(app)
    models.add_to(app)
    return lambda *arguments: CliRunner().invoke(app, ["suggest-expectations", *arguments])


@pytest.fixture
def published(configured: Storage) -> None:
    rows = pa.Table.from_pandas(pd.read_csv(FLOWERS), preserve_index=False)
    species = rows.schema.get_field_index("species")
    rows = rows.set_column(species, "species", rows.column("species").cast(pa.string()))
    Pipeline.open("iris", storage=configured).lake.replace(Table.PARTITIONS, {"snapshot": rows})


@pytest.mark.usefixtures("published")
def test_standard_output_is_the_draft_and_nothing_else(run, tmp_path):
    result = run("iris")
    assert result.exit_code == 0, result.output
    (tmp_path / "draft.yaml").write_text(result.stdout)
    names = [name for entry in read_yaml(tmp_path / "draft.yaml") for name in entry]
    assert "expect_column_values_to_be_in_set" in names
    assert result.stdout.startswith(
        "# A draft for iris from what was published: partition snapshot, 150 rows."
    )


@pytest.mark.usefixtures("published")
def test_json_says_what_it_was_drafted_from(run):
    document = json.loads(run("iris", "--json", "--last", "3").stdout)
    assert {**document, "draft": None} == {
        "pipeline": "iris",
        "from": "snapshot",
        "to": "snapshot",
        "partitions": 1,
        "rows": 150,
        "draft": None,
    }
    assert document["draft"] == run("iris").stdout


@pytest.mark.usefixtures("published")
def test_a_file_is_written_once_and_never_over(run, tmp_path):
    file = tmp_path / "draft.yaml"
    result = run("iris", "--out", str(file))
    assert result.stdout == f"{file}: a draft from 1 partition\n"
    assert file.read_text() == run("iris").stdout
    file.write_text("mine")
    again = run("iris", "--out", str(file))
    assert (again.exit_code, file.read_text()) == (1, "mine")
    assert again.stderr == f"evergreen: {file} exists already and is not overwritten: name a new file\n"
    nowhere = run("iris", "--out", str(tmp_path / "no" / "draft.yaml"))
    assert nowhere.exit_code == 1
    assert nowhere.stderr.endswith("cannot be written (No such file or directory): name another file\n")


def test_nothing_published_is_one_line(run):
    result = run("iris")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "evergreen: iris: no partition is published yet: run evergreen ingest iris first\n"
    )


def test_no_partitions_at_all_is_wrong_usage(run):
    assert run("iris", "--last", "0").exit_code == 2
