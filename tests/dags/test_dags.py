"""The DAGs that the repository yields: their ids, chains, pages, forms, limits and what parsing costs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import PartitionedAssetTimetable

from evergreen.spec import Task, load_spec
from evergreen.stages import MONITOR, NIGHTLY, STAGES, TRAIN, stage_of
from evergreen_airflow.lifecycle import maintained, nightly, trained, watched
from evergreen_airflow.timetable import PartitionTimetable

REPOSITORY = Path(__file__).resolve().parents[2]
PIPELINES = {"bike_demand", "iris", "wine_segments"}
WATCHED = {"bike_demand"}
GRAINS = {"daily", "snapshot"}
TAGS = {"evergreen"} | {stage.name for stage in STAGES} | {task.value for task in Task} | GRAINS
HEAVY = {
    "pandas",
    "numpy",
    "sklearn",
    "scipy",
    "great_expectations",
    "pyarrow",
    "deltalake",
    "boto3",
    "optuna",
}


@pytest.fixture(scope="module")
def dags() -> dict:
    bag = DagBag(str(REPOSITORY / "dags"))
    assert bag.import_errors == {}
    return bag.dags


def test_there_are_exactly_five_dags_a_pipeline_and_one_where_a_night_has_a_deadline(dags: dict) -> None:
    assert set(dags) == expected(PIPELINES)


def expected(pipelines: set[str]) -> set[str]:
    return {
        stage.dag_id(pipeline)
        for stage in STAGES
        for pipeline in (pipelines & WATCHED if stage.optional else pipelines)
    }


@pytest.mark.parametrize(
    ("dag_id", "chain"),
    [
        (
            "bike_demand_ingest",
            {
                "extract_rentals": ["validate"],
                "extract_weather": ["validate"],
                "validate": ["publish"],
                "publish": [],
            },
        ),
        ("iris_ingest", {"extract_flowers": ["validate"], "validate": ["publish"], "publish": []}),
        ("wine_segments_ingest", {"extract_wines": ["validate"], "validate": ["publish"], "publish": []}),
        *(
            (f"{pipeline}_score", {"score": ["train_first_champion"], "train_first_champion": []})
            for pipeline in sorted(PIPELINES)
        ),
        *(
            (
                f"{pipeline}_monitor",
                {
                    "monitor": ["alert", "promote", "retrain"],
                    "retrain": [],
                    "promote": ["report"],
                    "alert": ["report"],
                    "report": [],
                },
            )
            for pipeline in sorted(PIPELINES)
        ),
        *(
            (
                f"{pipeline}_train",
                {
                    "build_training_set": ["train"],
                    "train": ["evaluate"],
                    "evaluate": ["gate"],
                    "gate": ["promote"],
                    "promote": [],
                },
            )
            for pipeline in sorted(PIPELINES)
        ),
        *((f"{pipeline}_maintain", {"maintain": []}) for pipeline in sorted(PIPELINES)),
    ],
)
def test_chain(dags: dict, dag_id: str, chain: dict) -> None:
    assert {task.task_id: sorted(task.downstream_task_ids) for task in dags[dag_id].tasks} == chain


def test_the_empty_dags_of_benchmarks_have_the_shape_of_a_night(dags: dict) -> None:
    def shape(dag: Any) -> list[tuple[int, int, str]]:
        return sorted(
            (len(task.upstream_task_ids), len(task.downstream_task_ids), str(task.trigger_rule))
            for task in dag.tasks
        )

    empty = DagBag(str(REPOSITORY / "benchmarks" / "dags" / "noop.py")).dags
    assert set(empty) == {stage.dag_id("noop") for stage in NIGHTLY}
    for stage in NIGHTLY:
        assert shape(empty[stage.dag_id("noop")]) == shape(dags[stage.dag_id("bike_demand")])


def test_each_source_is_extracted_by_the_one_operator_for_all_kinds(dags: dict) -> None:
    kinds = {
        (dag_id, task.task_id): type(task).__name__
        for dag_id in ("bike_demand_ingest", "iris_ingest")
        for task in dags[dag_id].tasks
        if task.task_id.startswith("extract_")
    }
    assert kinds == {
        ("bike_demand_ingest", "extract_rentals"): "SourceToLakeOperator",
        ("bike_demand_ingest", "extract_weather"): "SourceToLakeOperator",
        ("iris_ingest", "extract_flowers"): "SourceToLakeOperator",
    }


def test_each_dag_is_what_the_list_of_stages_says(dags: dict) -> None:
    for dag_id, dag in dags.items():
        pipeline, stage = stage_of(dag_id)
        assert stage.name in dag.tags
        assert stage.done in dag.task_ids
        outlets = [asset.name for task in dag.tasks for asset in task.outlets]
        published = [stage, TRAIN] if stage is MONITOR else [stage]  # a trial may end in a promotion
        assert outlets == [f"{pipeline}_{one.asset}" for one in published if one.asset]


def test_a_pipeline_with_time_runs_by_partition(dags: dict) -> None:
    nightly = dags["bike_demand_ingest"].timetable
    assert isinstance(nightly, PartitionTimetable)
    assert nightly.ticks.calendar.grain == "daily"
    assert nightly.summary == "0 2 * * *"
    for stage, asset in (("score", "bike_demand_partitions"), ("monitor", "bike_demand_predictions")):
        follower = dags[f"bike_demand_{stage}"].timetable
        assert isinstance(follower, PartitionedAssetTimetable)
        assert follower.asset_condition.name == asset


def test_crons_are_in_the_pipelines_time_zone() -> None:
    spec = load_spec("iris", REPOSITORY / "include" / "pipelines")
    training = spec.training.model_copy(update={"schedule": "0 5 1 * *"})
    local = spec.model_copy(update={"timezone": "Asia/Kolkata", "training": training})
    found = [nightly(local), trained(local), watched(local), maintained(local)]
    assert [(cron.expression, cron.timezone) for cron in found] == [
        ("0 3 * * 1", "Asia/Kolkata"),
        ("0 5 1 * *", "Asia/Kolkata"),
        ("0 0 * * *", "Asia/Kolkata"),
        ("0 5 * * 0", "Asia/Kolkata"),
    ]
    assert trained(spec) is None


def test_every_dag_has_page_tags_owner_limits_and_retries(dags: dict) -> None:
    for dag_id, dag in dags.items():
        for heading in ("What", "Schedule", "In", "Out", "Safe to re-run?", "Owner", "When it fails"):
            assert f"**{heading}**" in dag.doc_md, f"{dag_id}: its page says nothing of '{heading}'"
        assert not re.search(r"\$\{?[a-z_]+", dag.doc_md), f"{dag_id}: its page has an unfilled place"
        assert dag.tags <= TAGS
        assert "evergreen" in dag.tags
        assert not dag.catchup
        assert dag.dagrun_timeout is not None
        for task in dag.tasks:
            assert task.owner != "airflow"
            assert task.retries == 5
            assert task.retry_exponential_backoff
            assert task.execution_timeout is not None


def test_trainings_have_a_queue_and_a_pool_of_their_own_and_nights_those_of_airflow(dags: dict) -> None:
    for dag_id, dag in dags.items():
        _, stage = stage_of(dag_id)
        places = {(task.queue, task.pool) for task in dag.tasks}
        own = ("training", "training") if stage is TRAIN else ("default", "default_pool")
        assert places == {own}, f"{dag_id}: {places}"


def test_params_are_a_form(dags: dict) -> None:
    assert set(dags["bike_demand_ingest"].params) == {"partition", "to", "announce"}
    assert set(dags["bike_demand_score"].params) == {"partition"}
    assert set(dags["bike_demand_train"].params) == {"as_of", "reason"}
    assert set(dags["iris_ingest"].params) == set()
    assert set(dags["iris_train"].params) == {"reason"}
    form = dags["bike_demand_train"].params.get_param("as_of")
    assert form.schema["title"] == "As of"
    assert form.description
    announce = dags["bike_demand_ingest"].params.get_param("announce")
    assert announce.value == "newest"
    assert announce.schema["enum"] == ["newest", "all"]
    assert "2011-01-31" in dags["bike_demand_ingest"].params.get_param("to").description


@pytest.fixture(scope="module")
def bakery() -> dict:
    """The DAGs of a pipeline whose sources say when they are complete."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_PIPELINES", str(REPOSITORY / "tests" / "pipelines"))
        bag = DagBag(str(REPOSITORY / "dags"))
    assert bag.import_errors == {}
    return {dag_id: dag for dag_id, dag in bag.dags.items() if dag_id.startswith("bakery_")}


def test_a_source_that_says_when_it_is_complete_is_waited_for(bakery: dict) -> None:
    dag = bakery["bakery_ingest"]
    assert {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks} == {
        "wait_sales": ["extract_sales"],
        "wait_weather": ["extract_weather"],
        "wait_prices": ["extract_prices"],
        "extract_sales": ["validate"],
        "extract_weather": ["validate"],
        "extract_prices": ["validate"],
        "extract_shops": ["validate"],
        "validate": ["publish"],
        "publish": [],
    }


def test_every_task_that_fails_alerts(bakery: dict) -> None:
    silent = [task.task_id for dag in bakery.values() for task in dag.tasks if not task.on_failure_callback]
    assert silent == []


def test_a_run_may_last_as_long_as_its_longest_wait_and_its_work(bakery: dict) -> None:
    assert bakery["bakery_ingest"].dagrun_timeout == timedelta(hours=12 + 6)
    assert bakery["bakery_score"].dagrun_timeout == timedelta(hours=6)


def _parse(code: str, **environment: str) -> str:
    """What a fresh interpreter prints for `code`; a fresh one because modules stay imported."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def test_parsing_imports_nothing_heavy() -> None:
    code = (
        "import json, sys; from airflow.dag_processing.dagbag import DagBag; before = set(sys.modules);"
        f"bag = DagBag({str(REPOSITORY / 'dags')!r}); assert bag.dags;"
        "print(json.dumps(sorted({name.split('.')[0] for name in set(sys.modules) - before})))"
    )
    assert not set(json.loads(_parse(code))) & HEAVY


def test_a_task_run_builds_only_its_own_dag() -> None:
    code = (
        "import json; from airflow.dag_processing.dagbag import DagBag;"
        f"print(json.dumps(sorted(DagBag({str(REPOSITORY / 'dags')!r}).dags)))"
    )
    own = _parse(
        code,
        _AIRFLOW_PARSING_CONTEXT_DAG_ID="iris_train",
        _AIRFLOW_PARSING_CONTEXT_TASK_ID="gate",
    )
    assert json.loads(own) == ["iris_train"]


def test_each_target_of_a_description_has_dags_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, targets in (("plants", "[species, petal_width]"), ("iris_b", "[a, c]"), ("iris", "[b_a]")):
        folder = shutil.copytree(REPOSITORY / "include" / "pipelines" / "iris", tmp_path / name)
        text = (folder / "pipeline.yaml").read_text().replace("name: iris", f"name: {name}")
        (folder / "pipeline.yaml").write_text(text.replace("target: species", f"target: {targets}"))
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))

    bag = DagBag(str(REPOSITORY / "dags"))

    names = {"plants_species", "plants_petal_width"}
    assert set(bag.dags) == {stage.dag_id(name) for stage in STAGES if not stage.optional for name in names}
    assert bag.dags["plants_petal_width_ingest"].get_task("publish").pipeline == "plants_petal_width"
    (message,) = bag.import_errors.values()
    assert message.count("'iris_b_a' would be the name of a pipeline here and in") == 2


def test_a_broken_pipeline_is_an_import_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(REPOSITORY / "include" / "pipelines", tmp_path / "pipelines")
    broken = tmp_path / "pipelines" / "iris" / "pipeline.yaml"
    broken.write_text(broken.read_text().replace("metric: accuracy", "metric: acuracy"))
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path / "pipelines"))

    bag = DagBag(str(REPOSITORY / "dags"))

    assert set(bag.dags) == expected(PIPELINES - {"iris"})
    (file, message), *others = bag.import_errors.items()
    assert not others
    assert file.endswith("broken_pipelines.py")
    assert f"{broken}: training.metric: 'acuracy' is not a metric of classification" in message
