"""The task `publish_changed` of an ingest DAG: what it ingests again, announces, and leaves alone."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors

from evergreen.lake import Table
from evergreen.stages import INGEST
from evergreen.storage import Storage
from evergreen_airflow.assets import published_by
from evergreen_airflow.connections import open_pipeline
from evergreen_airflow.operators.base import task_outcome

DAGS = Path(__file__).resolve().parents[2] / "dags"
SHOP = """
name: shop
description: Orders that change after their day was published
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  orders: {sql: {conn_id: shop_db, table: orders, time_column: at, changed: {column: changed_at}}}
key: [id]
task: regression
target: amount
training: {metric: mae, candidates: [{estimator: sklearn.linear_model.Ridge}]}
"""
DAYS = [f"2024-01-{day:02d}" for day in range(1, 6)]


class Shop:
    """A table of orders in SQLite."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.run(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, at TIMESTAMP, amount INTEGER, changed_at TIMESTAMP)"
        )

    def run(self, statement: str, *values: Any) -> None:
        with sqlite3.connect(self._file) as session:
            session.execute(statement, values)
        session.close()

    def put(self, number: int, day: str, amount: int, changed: str | None = None) -> None:
        self.run(
            "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?)",
            *(number, f"{day} 12:00:00", amount, f"{changed or day} 12:30:00"),
        )


@pytest.fixture
def shop(tmp_path: Path, configured: Storage, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The pipeline `shop` with two orders of each of five days."""
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    file = tmp_path / "shop.db"
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", f"sqlite:///{file}")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "pipeline.yaml").write_text(SHOP)
    (tmp_path / "shop" / "expectations.yaml").write_text(
        "- expect_column_values_to_be_between: {column: amount, min_value: 0}\n  severity: critical\n"
    )
    shop = Shop(file)
    for number, day in enumerate(DAYS):
        shop.put(10 * number, day, 5)
        shop.put(10 * number + 1, day, 6)
    return shop


class Run:
    """A run of the DAG for a day; its tasks are executed one after another."""

    def __init__(self, key: str, run_id: str = "scheduled") -> None:
        self.dag = DagBag(str(DAGS)).dags["shop_ingest"]
        dag_run = SimpleNamespace(
            partition_key=key, run_id=f"{run_id} {key}", start_date=datetime(2024, 2, 1, tzinfo=UTC)
        )
        self.context: dict[str, Any] = {"params": {}, "dag_run": dag_run}

    def task(self, task_id: str) -> None:
        ti = SimpleNamespace(xcom_push=print)
        self.context |= {"outlet_events": OutletEventAccessors(), "ti": ti}
        with task_outcome():
            self.dag.get_task(task_id).run(open_pipeline("shop"), self.context)

    @property
    def announced(self) -> list[str]:
        return sorted(self.context["outlet_events"][published_by(INGEST, "shop")].partition_keys)


def publish(*days: str) -> None:
    for day in days:
        run = Run(day)
        for task_id in ("extract_orders", "validate", "publish"):
            run.task(task_id)


def amounts() -> dict[int, tuple[str, int]]:
    rows = open_pipeline("shop").lake.read(Table.PARTITIONS).to_pylist()
    assert len(rows) == len({row["id"] for row in rows})
    return {row["id"]: (row["partition"], row["amount"]) for row in rows}


def test_the_task_follows_the_source_and_not_the_run_s_own_partition(shop: Shop) -> None:
    dag = DagBag(str(DAGS)).dags["shop_ingest"]
    chain = {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
    assert chain == {
        "extract_orders": ["publish_changed", "validate"],
        "validate": ["publish"],
        "publish": [],
        "publish_changed": [],
    }
    assert dag.get_task("publish_changed").outlets == [published_by(INGEST, "shop")]


def test_changed_days_are_ingested_again_and_announced_without_the_run_s_own(shop: Shop) -> None:
    publish(*DAYS[:4])
    shop.put(1, DAYS[0], 7, changed=DAYS[4])  # corrected
    shop.put(99, DAYS[1], 8, changed=DAYS[4])  # late
    shop.put(21, DAYS[3], 6, changed=DAYS[4])  # moved from the third day to the fourth
    run = Run(DAYS[4])
    run.task("publish_changed")
    assert run.announced == DAYS[:4]
    assert amounts() == {
        **{0: (DAYS[0], 5), 1: (DAYS[0], 7)},
        **{10: (DAYS[1], 5), 11: (DAYS[1], 6), 99: (DAYS[1], 8)},
        **{20: (DAYS[2], 5)},
        **{30: (DAYS[3], 5), 31: (DAYS[3], 6), 21: (DAYS[3], 6)},
    }
    again = Run(DAYS[4])  # the first attempt may have died before it announced them
    again.task("publish_changed")
    assert again.announced == DAYS[:4]
    with pytest.raises(
        AirflowSkipException, match="shop: the 3 partitions that were read again are unchanged"
    ):
        Run(DAYS[4], run_id="by hand").task("publish_changed")


def test_the_task_is_skipped_where_nothing_has_changed(shop: Shop) -> None:
    run = Run(DAYS[0])
    with pytest.raises(AirflowSkipException, match="no rows of published partitions have changed"):
        run.task("publish_changed")  # and nothing is published
    publish(*DAYS[:2])
    with pytest.raises(AirflowSkipException, match="no rows of published partitions have changed"):
        Run(DAYS[2]).task("publish_changed")


def test_a_changed_day_that_is_refused_fails_the_task_alone(shop: Shop) -> None:
    publish(*DAYS[:2])
    shop.put(1, DAYS[0], -1, changed=DAYS[2])
    shop.put(11, DAYS[1], 9, changed=DAYS[2])
    with pytest.raises(
        AirflowFailException, match=r"^shop 2024-01-01: refused: .*: 1 of 2 partitions were not published$"
    ):
        Run(DAYS[2]).task("publish_changed")
    publish(DAYS[2])
    assert amounts()[1] == (DAYS[0], 6)
    assert amounts()[11] == (DAYS[1], 9)
    assert amounts()[20] == (DAYS[2], 5)
