"""A whole pipeline on one SQLite file: waited for, ingested, labelled, and looked up in by another one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evergreen import cli
from evergreen.backtest.run import read_rows
from evergreen.databases.registry import DATABASES
from evergreen.errors import UnavailableError
from evergreen.ingestion.stage import ingest
from evergreen.labels.ingest import ingest_labels
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.storage import Storage

LENDER = """
name: lender
description: Loans, of which it is known a day later whether they are repaid late
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  loans:
    sql: {conn_id: bank, table: loans, time_column: taken}
    complete: {sql: loaded.sql, every: 1 minutes, within: 1 hours}
  branches: {sql: {conn_id: bank, sql: branches.sql}}
join: [{left: loans, right: branches, on: branch, expect: many_to_one}]
key: [loan]
task: classification
target: late
labels:
  source: {sql: {conn_id: bank, table: outcomes, time_column: told}}
  delay: 1 partitions
training: {metric: accuracy, candidates: [{estimator: sklearn.linear_model.LogisticRegression}]}
scoring: {conn_id: bank, table: predictions}
"""
FIRST, SECOND, THIRD = "2024-01-01", "2024-01-02", "2024-01-03"


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: Storage) -> Path:
    folder = tmp_path / "lender"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(LENDER)
    (folder / "expectations.yaml").write_text("[]\n")
    (folder / "loaded.sql").write_text(
        "SELECT count(*) >= 4 FROM loans WHERE taken >= $start AND taken < $end"
    )
    (folder / "branches.sql").write_text("SELECT branch, city FROM branches")
    path = tmp_path / "bank.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE loans (loan INTEGER, taken DATETIME, amount REAL, branch INTEGER)")
        database.execute("CREATE TABLE outcomes (loan INTEGER, told DATETIME, late TEXT)")
        database.execute("CREATE TABLE branches (branch INTEGER, city TEXT)")
        database.execute("INSERT INTO branches VALUES (0, 'Ulm'), (1, 'Jena')")
        for day in (1, 2):
            for number in range(4):
                loan, at = day * 100 + number, f"2024-01-0{day} 0{number}:30:00"
                late = "no" if number % 2 else "yes"
                database.execute("INSERT INTO loans VALUES (?, ?, ?, ?)", (loan, at, number, number % 2))
                database.execute("INSERT INTO outcomes VALUES (?, ?, ?)", (loan, at, late))
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_BANK", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    return path


def test_check_looks_at_its_connection_and_its_driver(bank: Path, monkeypatch: pytest.MonkeyPatch):
    found = CliRunner().invoke(cli.app, ["check", "lender"])
    assert found.exit_code == 0, found.output
    monkeypatch.setitem(DATABASES, "sqlite", replace(DATABASES["sqlite"], module="no_such_driver"))
    found = CliRunner().invoke(cli.app, ["check", "lender", "--json"])
    assert found.exit_code == 1
    assert "SQLite needs the package adbc-driver-sqlite, which is not installed" in found.output


def test_it_is_waited_for_ingested_and_labelled(bank: Path):
    pipeline = Pipeline.open("lender")
    assert [each.rows for each in ingest(pipeline, [FIRST, SECOND])] == [4, 4]
    rows = pipeline.lake.read(Table.PARTITIONS, FIRST, FIRST)
    assert rows.column("city").to_pylist() == ["Ulm", "Jena", "Ulm", "Jena"]
    with pytest.raises(UnavailableError, match=r"source 'loans' is not complete: loaded\.sql answered false"):
        ingest(pipeline, [THIRD])
    (read,) = ingest_labels(pipeline, [SECOND])
    assert (read.partition, read.labels, read.labelled) == (FIRST, 4, 4)
    frame = read_rows(pipeline, FIRST, SECOND)
    assert frame[frame["partition"] == FIRST]["late"].tolist() == ["yes", "no", "yes", "no"]


def test_a_row_of_another_type_is_in_quarantine_with_its_value(bank: Path):
    with closing(sqlite3.connect(bank)) as database, database:
        database.execute("INSERT INTO loans VALUES ('104x', '2024-01-01 05:30:00', 1, 1)")
        for number in range(200, 240):
            database.execute("INSERT INTO loans VALUES (?, '2024-01-01 06:30:00', 1, 1)", (number,))
    pipeline = Pipeline.open("lender")
    (published,) = ingest(pipeline, [FIRST])
    assert published.rows == 44
    quarantined = pipeline.lake.read(Table.QUARANTINE, FIRST, FIRST).to_pylist()
    assert len(quarantined) == 1
    assert "column 'loan' of type INTEGER holds text '104x'" in str(quarantined[0])
