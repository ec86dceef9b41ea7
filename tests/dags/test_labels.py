"""The task `labels` of an ingest DAG: beside the chain, and what becomes of the run when it fails."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from evergreen.lake import Table
from evergreen.storage import Storage
from evergreen_airflow.connections import open_pipeline
from evergreen_airflow.lifecycle import alert
from evergreen_airflow.operators.base import task_outcome

DAGS = Path(__file__).resolve().parents[2] / "dags"
LENDER = """
name: lender
description: Loans, of which it is known two days later whether they are repaid late
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  loans: {file: {path: "{partition}.csv", time_column: at}}
key: [loan]
task: classification
target: late
labels: {source: {file: {path: "late-{partition}.csv"}}, delay: 2 partitions}
training: {metric: accuracy, candidates: [{estimator: sklearn.linear_model.LogisticRegression}]}
"""


@pytest.fixture
def folder(tmp_path: Path, configured: Storage, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pipeline's folder with labels of three days."""
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    folder = tmp_path / "lender"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(LENDER)
    for number in (1, 2, 3):
        (folder / f"late-2024-01-0{number}.csv").write_text(f"loan,late\n{number},yes\n")
    return folder


def run(key: str | None, **params: Any) -> None:
    dag = DagBag(str(DAGS)).dags["lender_ingest"]
    started = datetime(2024, 2, 1, tzinfo=UTC)
    dag_run = SimpleNamespace(partition_key=key, run_id="run", start_date=started)
    with task_outcome():
        dag.get_task("labels").run(open_pipeline("lender"), {"params": params, "dag_run": dag_run})


def labelled() -> list[str]:
    return open_pipeline("lender").lake.partitions(Table.LABELS)


def test_the_task_stands_beside_the_chain_and_a_failure_is_told(folder: Path) -> None:
    dag = DagBag(str(DAGS)).dags["lender_ingest"]
    chain = {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
    assert chain == {"extract_loans": ["validate"], "validate": ["publish"], "publish": [], "labels": []}
    task = dag.get_task("labels")
    assert task.upstream_task_ids == set()
    assert task.outlets == []
    callbacks = task.on_failure_callback
    assert alert in (callbacks if isinstance(callbacks, list | tuple) else [callbacks])


def test_a_run_reads_what_is_due_with_its_partition(folder: Path) -> None:
    run("2024-01-04")
    assert labelled() == ["2024-01-02"]
    run(None, partition="2024-01-03", to="2024-01-05")
    assert labelled() == ["2024-01-01", "2024-01-02", "2024-01-03"]


def test_a_run_is_skipped_where_nothing_is_due(folder: Path) -> None:
    with pytest.raises(AirflowSkipException, match="no labels are due"):
        run("2024-01-02")


def test_refused_labels_fail_the_task_for_good_with_the_keys_in_one_line(folder: Path) -> None:
    (folder / "late-2024-01-01.csv").write_text("loan,late\n7,yes\n7,no\n")
    with pytest.raises(
        AirflowFailException, match=r"values of loan have more than one label: 7(\.0)? \(2 rows\)"
    ):
        run("2024-01-03")
    with pytest.raises(AirflowFailException, match="1 of 3 partitions were not published"):
        run(None, partition="2024-01-03", to="2024-01-05")
    assert labelled() == ["2024-01-02", "2024-01-03"]
