"""One run for a whole range: what its tasks load, refuse and announce, on files and a store in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.context import OutletEventAccessors

from evergreen.calendar import PartitionError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.stages import INGEST
from evergreen.storage import Storage
from evergreen_airflow.assets import published_by
from evergreen_airflow.connections import open_pipeline
from evergreen_airflow.operators.base import partitions_of, task_outcome

DAGS = Path(__file__).resolve().parents[2] / "dags"
SHOP = """
name: shop
description: Sales of a shop
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  sales: {file: {path: "{partition}.csv", time_column: at}}
key: [at]
task: regression
target: sold
training: {metric: mae, candidates: [{estimator: sklearn.linear_model.Ridge}]}
"""
EXPECTATIONS = """
- expect_column_values_to_be_between: {column: sold, min_value: 0}
  severity: critical
"""
FIGURES = {"rows": 2, "quarantined": 0, "changed": True}
DAYS = [f"2024-01-{day:02d}" for day in range(1, 6)]


@pytest.fixture
def folder(tmp_path: Path, configured: Storage, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the pipeline `shop` with a file for each of five days."""
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(SHOP)
    (folder / "expectations.yaml").write_text(EXPECTATIONS)
    for number, day in enumerate(DAYS):
        write(folder, day, number, 10)
    return folder


def write(folder: Path, day: str, *sold: int) -> None:
    lines = [f"{day}T0{hour}:00:00Z,{value}" for hour, value in enumerate(sold)]
    (folder / f"{day}.csv").write_text("\n".join(["at,sold", *lines]) + "\n")


class Run:
    """A run of the DAG, its tasks executed one after another."""

    def __init__(self, partition_key: str | None = None, **params: Any) -> None:
        self.dag = DagBag(str(DAGS)).dags["shop_ingest"]
        self.pipeline = open_pipeline("shop")
        dag_run = SimpleNamespace(
            partition_key=partition_key,
            run_id=f"run {partition_key} {params}",
            start_date=datetime(2024, 2, 1, tzinfo=UTC),
            run_after=datetime(2024, 1, 4, 12, tzinfo=UTC),
            logical_date=None,
        )
        self.context: dict[str, Any] = {"params": params, "dag_run": dag_run}

    def task(self, task_id: str) -> None:
        self.context |= {"outlet_events": OutletEventAccessors(), "ti": SimpleNamespace(xcom_push=print)}
        with task_outcome():
            self.dag.get_task(task_id).run(self.pipeline, self.context)

    def to_the_end(self) -> Run:
        for task_id in ("extract_sales", "validate", "publish"):
            self.task(task_id)
        return self

    @property
    def event(self) -> Any:
        return self.context["outlet_events"][published_by(INGEST, "shop")]

    @property
    def announced(self) -> list[str]:
        return sorted(self.event.partition_keys)


def rows(pipeline: Pipeline) -> list[dict[str, Any]]:
    """What is published, in order."""
    return pipeline.lake.read(Table.PARTITIONS).sort_by("at").to_pylist()


def test_a_range_is_loaded_by_one_run_as_by_many(
    folder: Path, new_storage: Callable[[], Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = Run(partition=DAYS[0], to=DAYS[-1]).to_the_end()
    assert together.pipeline.lake.partitions() == DAYS
    monkeypatch.setenv("EVERGREEN_STORAGE", new_storage().uri())
    for day in DAYS:
        one = Run(partition_key=day).to_the_end()
        assert one.announced == []  # the run's own key goes with the event
        assert one.event.extra == {"partition": day, **FIGURES}
    assert rows(one.pipeline) == rows(together.pipeline)


def test_of_a_range_only_the_newest_partition_is_announced(folder: Path) -> None:
    run = Run(partition=DAYS[0], to=DAYS[2], announce="newest").to_the_end()
    assert run.announced == [DAYS[2]]
    assert run.event.extra == {"partition": DAYS[2], **FIGURES}


def test_all_partitions_of_a_range_are_announced_where_that_is_asked_for(folder: Path) -> None:
    assert Run(partition=DAYS[0], to=DAYS[2], announce="all").to_the_end().announced == DAYS[:3]


def test_a_partition_given_as_a_param_is_announced(folder: Path) -> None:
    assert Run(partition=DAYS[1]).to_the_end().announced == [DAYS[1]]


def test_refused_partitions_leave_the_others_alone_and_end_the_run(folder: Path) -> None:
    write(folder, DAYS[2], -1)
    write(folder, DAYS[4], -1)
    run = Run(partition=DAYS[0], to=DAYS[-1], announce="all")
    run.task("extract_sales")
    run.task("validate")
    with pytest.raises(AirflowFailException) as refusal:
        run.task("publish")
    assert str(refusal.value).startswith(f"shop {DAYS[2]}: refused: ")
    assert str(refusal.value).endswith(
        f" (so 1 more, the last {DAYS[4]}): 2 of 5 partitions were not published"
    )
    assert run.pipeline.lake.partitions() == [DAYS[0], DAYS[1], DAYS[3]]
    assert run.announced == []
    write(folder, DAYS[2], 1)
    write(folder, DAYS[4], 1)
    assert run.to_the_end().announced == DAYS


def test_a_range_of_which_all_is_refused_announces_nothing(folder: Path) -> None:
    for day in DAYS[:2]:
        write(folder, day, -1)
    run = Run(partition=DAYS[0], to=DAYS[1])
    run.task("extract_sales")
    run.task("validate")
    with pytest.raises(AirflowFailException, match=r"2 of 2 partitions were not published"):
        run.task("publish")


def test_a_single_refused_partition_ends_at_validate(folder: Path) -> None:
    write(folder, DAYS[0], -1)
    run = Run(partition_key=DAYS[0])
    run.task("extract_sales")
    with pytest.raises(AirflowFailException, match="refused"):
        run.task("validate")


def test_a_range_run_again_changes_nothing(folder: Path) -> None:
    first = Run(partition=DAYS[0], to=DAYS[-1]).to_the_end()
    before = first.pipeline.lake.version(Table.PARTITIONS)
    again = Run(partition=DAYS[0], to=DAYS[-1]).to_the_end()
    again.task("publish")  # a retry, after it has cleared the staging
    assert again.pipeline.lake.version(Table.PARTITIONS) == before
    assert again.announced == [DAYS[-1]]


@pytest.mark.parametrize(
    ("key", "params", "expected"),
    [
        (DAYS[0], {}, DAYS[:1]),
        (DAYS[0], {"partition": None, "to": None}, DAYS[:1]),
        (DAYS[0], {"to": DAYS[2]}, DAYS[:3]),
        (DAYS[0], {"partition": DAYS[1], "to": DAYS[2]}, DAYS[1:3]),
        (None, {"partition": DAYS[1], "to": DAYS[1]}, DAYS[1:2]),
    ],
)
def test_the_partitions_of_a_run(folder: Path, key: str | None, params: Any, expected: list[str]) -> None:
    context: Any = {"params": params, "dag_run": SimpleNamespace(partition_key=key)}
    assert partitions_of(context, open_pipeline("shop")) == expected


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("2023-12-31", "shop: the range ends with '2023-12-31', before its first partition '2024-01-01': "),
        ("2024-1-5", "'2024-1-5' is not a partition key of a daily pipeline"),
        ("tomorrow", "'tomorrow' is not a key of a daily pipeline"),
    ],
)
def test_a_wrong_range_is_refused_in_one_line(folder: Path, to: str, says: str) -> None:
    context: Any = {"params": {"to": to}, "dag_run": SimpleNamespace(partition_key=DAYS[0])}
    with pytest.raises(PartitionError) as refusal:
        partitions_of(context, open_pipeline("shop"))
    assert str(refusal.value).startswith(says)
    assert "\n" not in str(refusal.value)


def test_a_range_without_a_first_partition_is_refused(folder: Path) -> None:
    context: Any = {
        "params": {"partition": None, "to": DAYS[2]},
        "dag_run": SimpleNamespace(partition_key=None),
    }
    with pytest.raises(PartitionError, match="shop: the range up to '2024-01-03' has no first partition: "):
        partitions_of(context, open_pipeline("shop"))
