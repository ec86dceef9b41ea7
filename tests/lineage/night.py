"""A small pipeline in SQLite whose tasks are executed one after another, as the DAG files have them."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.execution_time.context import OutletEventAccessors

DAGS = Path(__file__).resolve().parents[2] / "dags"
KIOSK = """
name: kiosk
description: Newspapers sold by a kiosk
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  sales: {sql: {conn_id: kiosk_db, table: sales, time_column: at}}
key: [id]
validation: {suite: expectations.yaml, max_quarantined: 10%}
features: {function: "features.py:build"}
task: regression
target: sold
training:
  minimum: 8 partitions
  holdout: 3 days
  metric: mae
  candidates: [{estimator: sklearn.linear_model.Ridge}]
"""
EXPECTATIONS = """
- expect_column_values_to_be_between: {column: price, min_value: 0}
  severity: warning
- expect_column_values_to_not_be_null: {column: sold}
  severity: critical
"""
ROWS = 12
DAYS = [f"2024-01-{day:02d}" for day in range(1, 12)]
NIGHT = DAYS[-1]


def describe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline `kiosk` with eleven days in its source; of the last a row is against an expectation."""
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(folder))
    monkeypatch.setenv("AIRFLOW_CONN_KIOSK_DB", f"sqlite:///{folder / 'kiosk.db'}")
    (folder / "kiosk").mkdir()
    (folder / "kiosk" / "pipeline.yaml").write_text(KIOSK)
    (folder / "kiosk" / "expectations.yaml").write_text(EXPECTATIONS)
    (folder / "kiosk" / "features.py").write_text("def build(rows):\n    return rows[['price', 'rain']]\n")
    with sqlite3.connect(folder / "kiosk.db") as session:
        session.execute(
            "CREATE TABLE sales "
            "(id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL, price REAL, rain REAL, sold REAL)"
        )
        for number in range(len(DAYS) * ROWS):
            at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=2 * number)
            price, rain = 1.0 + number % 7 / 4, number * 37 % 11 / 10
            row = (number, f"{at:%Y-%m-%d %H:%M:%S}", price, rain, 20 - 4 * price - 3 * rain + number % 3)
            session.execute("INSERT INTO sales VALUES (?, ?, ?, ?, ?)", row)
        session.execute("UPDATE sales SET price = -1.0 WHERE id = ?", [len(DAYS) * ROWS - 1])
    session.close()


class Run:
    """A run of one of the pipeline's DAGs."""

    def __init__(self, dag_id: str, key: str | None, **params: Any) -> None:
        self.dag = DagBag(str(DAGS / f"{dag_id.rpartition('_')[2]}.py")).dags[dag_id]
        began = datetime(2024, 2, 1, tzinfo=UTC)
        self.context: dict[str, Any] = {
            "params": params,
            "dag_run": SimpleNamespace(
                partition_key=key, run_id=f"{dag_id} {key}", start_date=began, run_after=began
            ),
            "ti": SimpleNamespace(xcom_push=lambda **_: None),
        }

    def task(self, task_id: str) -> Any:
        """Execute a task; returns its operator."""
        operator = self.dag.get_task(task_id)
        self.context["outlet_events"] = OutletEventAccessors()
        operator.execute(self.context)
        return operator

    def tasks(self, *task_ids: str) -> list[Any]:
        """Execute some, in this order."""
        return [self.task(task_id) for task_id in task_ids]


def whole_night() -> dict[str, Any]:
    """Ingest eleven days, train as of the last, score and monitor it; the operators by their tasks."""
    days = Run("kiosk_ingest", None, partition=DAYS[0], to=DAYS[-2])
    days.tasks("extract_sales", "validate", "publish")
    ran = [
        *Run("kiosk_ingest", NIGHT).tasks("extract_sales", "validate", "publish"),
        *Run("kiosk_train", None, as_of=NIGHT).tasks(
            "build_training_set", "train", "evaluate", "gate", "promote"
        ),
        *Run("kiosk_score", NIGHT).tasks("score"),
        *Run("kiosk_monitor", NIGHT).tasks("monitor", "alert"),
    ]
    return {operator.task_id: operator for operator in ran}
