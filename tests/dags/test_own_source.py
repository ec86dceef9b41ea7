"""A pipeline whose source is of a kind of its own: its DAG, and a night by its operators."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred

from evergreen.lake import Table
from evergreen.sources import KINDS
from evergreen.storage import Storage
from evergreen_airflow.connections import open_pipeline
from evergreen_airflow.operators.source_to_lake import SourceToLakeOperator
from tests.sqlite_source import LENDER, SQLITE, add_loans, write_lender

DAGS = Path(__file__).resolve().parents[2] / "dags"
DAY = "2024-01-02"


@pytest.fixture
def lender(tmp_path: Path, configured: Storage, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pipeline's folder; the loans of the second day are not all there."""
    monkeypatch.setitem(KINDS, "sqlite", SQLITE)
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    folder = write_lender(tmp_path, days=1)
    add_loans(folder, 2, count=4)
    return folder


@pytest.fixture
def dag(lender: Path) -> DAG:
    return DagBag(str(DAGS)).dags["lender_ingest"]


def test_its_dag_waits_for_the_source_and_extracts_it(dag: DAG) -> None:
    chain = {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
    assert chain == {
        "wait_loans": ["extract_loans"],
        "extract_loans": ["validate"],
        "validate": ["publish"],
        "publish": [],
        "labels": [],
    }
    assert isinstance(dag.get_task("extract_loans"), SourceToLakeOperator)
    assert "loans (sqlite)" in str(dag.doc_md)


def test_a_night_by_its_operators(dag: DAG, lender: Path) -> None:
    dag_run = SimpleNamespace(partition_key=DAY, run_id="night", start_date=datetime.now(UTC))
    context: dict[str, Any] = {"params": {}, "dag_run": dag_run, "outlet_events": _Events()}

    def run(task: str) -> None:
        dag.get_task(task).run(open_pipeline("lender"), context)

    with pytest.raises(TaskDeferred) as deferred:
        run("wait_loans")
    assert deferred.value.trigger.partitions == [DAY]
    (lender / "pipeline.yaml").write_text(LENDER.replace("rows: 5", "rows: 4"))
    for task in ("wait_loans", "extract_loans", "validate", "publish", "labels"):
        run(task)
    lake = open_pipeline("lender").lake
    assert lake.read(Table.PARTITIONS).column("loan").to_pylist() == [200, 201, 202, 203]
    assert lake.partitions(Table.LABELS) == ["2024-01-01"]


class _Events(dict[Any, Any]):
    """The events of the outlets, as Airflow gives them to a task."""

    def __missing__(self, asset: Any) -> Any:
        return self.setdefault(asset, SimpleNamespace(extra={}, add_partitions=lambda keys: None))
