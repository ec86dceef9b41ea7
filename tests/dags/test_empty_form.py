"""Runs that name no partition: each task asks for the one of its stage, and what follows is told of it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors

from evergreen.errors import NothingToDoError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.runs import choice_of
from evergreen.stages import INGEST, MAINTAIN, MONITOR, SCORE, STAGES, TRAIN, WATCH, stage_of
from evergreen.storage import Storage
from evergreen_airflow.assets import published_by
from evergreen_airflow.connections import open_pipeline
from evergreen_airflow.notifiers import AlertNotifier
from evergreen_airflow.operators.base import partition_of, partitions_of, task_outcome
from evergreen_airflow.operators.retrain import TriggerTrainingOperator

DAGS = Path(__file__).resolve().parents[2] / "dags"
SHOP = """
name: shop
description: Sales of a shop
owner: tests
schedule: "0 2 * * *"
start: 2024-01-01
partition: {grain}
sources:
  sales: {{file: {{path: "{path}"{time}}}, complete: {{file: "{path}"}}}}
key: [at]
task: regression
target: sold
labels: {{source: {{file: {{path: "late-{{partition}}.csv"}}}}, delay: 2 partitions}}
training: {{metric: mae, candidates: [{{estimator: sklearn.linear_model.Ridge}}]}}
alerts: {{deadline: "06:00"}}
"""
DUE = datetime(2024, 1, 4, 1, tzinfo=UTC)
UNASKED = {"train_first_champion"}
OF_NO_PARTITION = {TRAIN, MAINTAIN}


@pytest.fixture
def folder(tmp_path: Path, configured: Storage, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the pipeline `shop`, daily, whose labels come later."""
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "expectations.yaml").write_text("[]\n")
    describe(folder, SHOP.format(grain="daily", path="{partition}.csv", time=", time_column: at"))
    return folder


def describe(folder: Path, text: str) -> None:
    (folder / "pipeline.yaml").write_text(text)


def run_of(run_id: str, due: datetime = DUE, **facts: Any) -> Any:
    return SimpleNamespace(
        run_id=run_id, partition_key=None, run_after=due, start_date=due, **{"logical_date": None, **facts}
    )


def empty(run: Any) -> Any:
    return {
        "params": {"partition": None, "to": None, "announce": "newest"},
        "dag_run": run,
        "outlet_events": OutletEventAccessors(),
        "ti": SimpleNamespace(xcom_push=print, dag_id="shop_ingest", task_id="publish"),
    }


def test_every_task_asks_for_the_partition_of_its_own_stage(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def ask(pipeline: Pipeline, stage: Any, run_id: str, due: datetime) -> Any:
        asked.append((stage, run_id, due))
        raise NothingToDoError("asked")

    monkeypatch.setattr("evergreen.runs.chosen", ask)
    bag = DagBag(str(DAGS)).dags
    seen = set()
    for dag_id, dag in bag.items():
        stage = stage_of(dag_id)[1]
        if stage in OF_NO_PARTITION:
            continue
        for task in set(dag.task_ids) - UNASKED:
            asked.clear()
            operator = dag.get_task(task)
            work = operator.request if isinstance(operator, TriggerTrainingOperator) else operator.run
            with pytest.raises(NothingToDoError, match="asked"):
                work(open_pipeline("shop"), empty(run_of("manual")))
            assert asked == [(stage, "manual", DUE)], f"{dag_id}.{task}"
            seen.add(stage)
    assert seen == set(STAGES) - OF_NO_PARTITION


def test_an_empty_form_ingests_the_newest_that_had_ended_and_announces_it(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for day in ("2024-01-02", "2024-01-03", "2024-01-04"):
        (folder / f"{day}.csv").write_text(f"at,sold\n{day}T05:00:00Z,3\n")
    dag, pipeline, context = (
        DagBag(str(DAGS)).dags["shop_ingest"],
        open_pipeline("shop"),
        empty(run_of("manual")),
    )
    with caplog.at_level(logging.INFO):
        for task in ("wait_sales", "extract_sales", "validate", "publish"):
            caplog.clear()
            dag.get_task(task).run(pipeline, context)
            (first, *_) = [record.getMessage() for record in caplog.records]
            assert first == "2024-01-03: the newest day that had ended at 2024-01-04 01:00 UTC"
    assert pipeline.lake.partitions() == ["2024-01-03"]
    event = context["outlet_events"][published_by(INGEST, "shop")]
    assert sorted(event.partition_keys) == ["2024-01-03"]
    assert event.extra["partition"] == "2024-01-03"


def test_the_logical_date_is_the_runs_own_time_where_it_has_one(folder: Path) -> None:
    run = run_of("manual", logical_date=datetime(2024, 1, 3, 5, tzinfo=UTC))
    assert partitions_of(empty(run), open_pipeline("shop")) == ["2024-01-02"]


def test_a_name_comes_before_the_newest(folder: Path) -> None:
    pipeline, run = open_pipeline("shop"), run_of("manual")
    named = {**empty(run), "params": {"partition": "2024-01-01"}}
    assert partition_of(named, pipeline, SCORE) == "2024-01-01"
    run.partition_key = "2024-01-02"
    assert partition_of(empty(run), pipeline, SCORE) == "2024-01-02"
    assert choice_of(pipeline, SCORE, "manual") is None


def test_without_a_published_partition_score_and_monitor_are_skipped(folder: Path) -> None:
    for stage in (SCORE, MONITOR):
        with pytest.raises(AirflowSkipException, match="shop: there is no day yet that is "), task_outcome():
            partition_of(empty(run_of("manual")), open_pipeline("shop"), stage)


def test_a_failure_is_told_with_the_partition_that_the_run_took(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, told = open_pipeline("shop"), []
    text = (folder / "pipeline.yaml").read_text()
    describe(folder, text.replace("alerts: {", "alerts: {to: [{conn_id: ops}], "))
    monkeypatch.setattr("evergreen.alerts.stage.run_failed", lambda *facts: told.append(facts[3]))
    context = {**empty(run_of("manual")), "exception": ValueError()}
    AlertNotifier("failed").notify(context)
    partition_of(context, pipeline, INGEST)
    AlertNotifier("failed").notify(context)
    assert told == ["", "2024-01-03"]


def test_the_form_says_what_empty_means(folder: Path) -> None:
    bag = DagBag(str(DAGS)).dags
    for stage, words in (
        (INGEST, "the newest partition that had ended when the run was due."),
        (SCORE, "the newest partition that is published."),
        (MONITOR, "the newest partition that is scored."),
        (WATCH, "the newest partition that had to be finished when the run was due."),
    ):
        assert bag[stage.dag_id("shop")].params.get_param("partition").description.endswith(words)


def test_a_snapshot_has_its_one_partition(folder: Path) -> None:
    text = SHOP.format(grain="snapshot", path="all.csv", time="").replace("start: 2024-01-01\n", "")
    describe(folder, "\n".join(line for line in text.splitlines() if not line.startswith("labels")))
    pipeline = open_pipeline("shop")
    pipeline.lake.replace(Table.PARTITIONS, {"snapshot": pa.table({"sold": [1.0]})})
    context = empty(run_of("manual"))
    context["params"] = {}
    assert partitions_of(context, pipeline) == ["snapshot"]
    assert {partition_of(context, pipeline, stage) for stage in (SCORE, MONITOR, WATCH)} == {"snapshot"}
    assert choice_of(pipeline, SCORE, "manual") is None
