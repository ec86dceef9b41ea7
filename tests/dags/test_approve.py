"""Approval in Airflow: where it stands in the DAG, what it asks, and what each answer leads to."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.standard.exceptions import HITLTriggerEventError
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped, TaskAwaitingInput
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.context import OutletEventAccessors

from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.verdict import Check, Outcome, Verdict
from evergreen.pipeline import Pipeline
from evergreen.registry.history import Kind
from evergreen.storage import Storage
from evergreen_airflow.links import MOUNT
from evergreen_airflow.operators.base import run_token

DAGS = Path(__file__).resolve().parents[2] / "dags"
SHOP = """
name: shop
description: Sales of a shop
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  sales: {{file: {{path: "{{partition}}.csv", time_column: at}}}}
key: [at]
task: regression
target: sold
training: {{metric: mae, candidates: [{{estimator: sklearn.linear_model.Ridge}}]}}
{gate}
"""
ASK = "gate: {approval: {when: always, within: 2 hours, by: [ann, bob]}}"
VERSION, OTHER = "2024-02-01-0123456789ab", "2024-02-01-cccccccccccc"
CHECKS = (Check("limit mae", True, "mae 3 is within its limit | {{ 1 / 0 }}"),)
CARD = f"[The model card]({MOUNT}/shop/models/{VERSION}.html)"
ANN = {"id": "7", "name": "ann"}


class Supervisor:
    """What a task says to the process that supervises it."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def send(self, msg: Any) -> None:
        self.told.append(msg)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """Listens in the place of Airflow's supervisor."""
    listening = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", listening, raising=False)
    return listening


def train_dag(folder: Path, gate: str) -> DAG:
    folder.joinpath("shop").mkdir(exist_ok=True)
    folder.joinpath("shop", "pipeline.yaml").write_text(SHOP.format(gate=gate))
    bag = DagBag(str(DAGS))
    assert bag.import_errors == {}
    return bag.dags["shop_train"]


@pytest.fixture
def dag(tmp_path: Path, configured: Storage, monkeypatch: pytest.MonkeyPatch) -> DAG:
    """The training DAG of a pipeline that asks a person."""
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    return train_dag(tmp_path, ASK)


@pytest.fixture
def run() -> Any:
    """A run of the DAG."""
    return SimpleNamespace(run_id="manual__2024-02-01", partition_key=None)


@pytest.fixture
def judged(dag: DAG, run: Any) -> Callable[..., Pipeline]:
    """Commits the run's version with this outcome of the gate."""

    def commit(outcome: Outcome, asks: bool = False) -> Pipeline:
        pipeline = Pipeline.open("shop")
        note = {"as_of": "2024-02-01", "version": VERSION, "reason": {"sentence": "drift"}}
        pipeline.staging(run_token({"dag_run": run})).write_json("training.json", note)
        lineage = {**note, "candidate": {"estimator": "sklearn.linear_model.Ridge"}}
        evaluation = Evaluation("mae", {"mae": 3.0}, {"mae": 9.0}, None, None, 40, 0)
        files = {
            "gate.json": Verdict(outcome, CHECKS, asks).to_dict(),
            "lineage.json": lineage,
            "metrics.json": {"evaluation": evaluation.to_dict()},
        }
        for version in (VERSION, OTHER):
            content = {name: json.dumps(file).encode() for name, file in files.items()}
            pipeline.registry.commit(version, content)
        return pipeline

    return commit


def context(dag: DAG, run: Any, task_id: str, returned: Any = None) -> Any:
    pushed: dict[str, Any] = {}
    instance = SimpleNamespace(
        id=uuid.uuid4(),
        map_index=-1,
        xcom_push=lambda key, value: pushed.update({key: value}),
        xcom_pull=lambda task_ids: returned if task_ids == "approve" else None,
    )
    return {
        "dag_run": run,
        "params": {},
        "task": dag.get_task(task_id),
        "ti": instance,
        "task_instance": instance,
        "outlet_events": OutletEventAccessors(),
    }


def answered(dag: DAG, run: Any, option: str, by: Any = ANN) -> Any:
    """What the task returns when it is woken by this answer."""
    event = {
        "chosen_options": [option],
        "params_input": {},
        "responded_at": datetime(2024, 2, 2, tzinfo=UTC),
        "responded_by_user": by,
        "timedout": by is None,
    }
    task = dag.get_task("approve")
    return task.execute_complete(context(dag, run, "approve"), event=event, version=VERSION)


def promote(dag: DAG, run: Any, returned: Any) -> None:
    task = dag.get_task("promote")
    task.execute(context(dag, run, "promote", returned))


def test_approve_stands_between_gate_and_promote_where_a_person_is_asked(dag: DAG, tmp_path: Path) -> None:
    assert dag.get_task("gate").downstream_task_ids == {"approve"}
    assert dag.get_task("approve").downstream_task_ids == {"promote"}
    assert "one of ann, bob is always asked, and has 2:00:00 to answer" in (dag.doc_md or "")
    without = train_dag(tmp_path, "")
    assert "approve" not in without.task_ids
    assert without.get_task("gate").downstream_task_ids == {"promote"}
    assert "none: the gate alone decides" in (without.doc_md or "")


def test_the_run_lasts_as_long_as_its_work_and_the_wait_and_no_worker_is_held(dag: DAG) -> None:
    assert dag.dagrun_timeout == timedelta(hours=6 + 2)
    approve = dag.get_task("approve")
    assert approve.response_timeout == timedelta(hours=2)
    assert approve.execution_timeout == timedelta(hours=2)
    assert approve.defaults == ["Reject"]


@pytest.mark.parametrize("outcome", [Outcome.PROMOTED, Outcome.INCONCLUSIVE])
def test_the_form_shows_the_gate_s_report_and_the_task_waits(
    dag: DAG, run: Any, judged: Callable[..., Pipeline], supervisor: Supervisor, outcome: Outcome
) -> None:
    judged(outcome, asks=True)
    with pytest.raises(TaskAwaitingInput) as wait:
        dag.get_task("approve").execute(context(dag, run, "approve"))
    assert wait.value.method_name == "execute_complete"
    assert wait.value.kwargs == {"version": VERSION}
    assert wait.value.timeout == timedelta(hours=2)
    (form,) = supervisor.told
    assert form.subject == f"shop: promote {VERSION} to champion?"
    assert form.options == ["Approve", "Reject"]
    assert [(user.id, user.name) for user in form.assigned_users] == [("ann", "ann"), ("bob", "bob")]
    for shown in ("`drift`", "limit mae", "1 / 0", f"models/{VERSION}/card.html", CARD):
        assert shown in form.body


def test_text_from_the_data_is_no_template(dag: DAG) -> None:
    assert tuple(dag.get_task("approve").template_fields) == ("pipeline",)


def test_what_the_gate_accepts_passes_at_once(
    dag: DAG, run: Any, judged: Callable[..., Pipeline], supervisor: Supervisor
) -> None:
    pipeline = judged(Outcome.PROMOTED)
    assert dag.get_task("approve").execute(context(dag, run, "approve")) is None
    assert supervisor.told == []
    promote(dag, run, None)
    assert pipeline.registry.champion() == VERSION


def test_what_the_gate_refuses_is_skipped_with_the_reason(
    dag: DAG, run: Any, judged: Callable[..., Pipeline], supervisor: Supervisor
) -> None:
    judged(Outcome.WORSE)
    with pytest.raises(AirflowSkipException, match=f"shop: {VERSION} worse: .*the champion stays"):
        dag.get_task("approve").execute(context(dag, run, "approve"))
    assert supervisor.told == []


def test_a_yes_is_what_the_task_returns_and_its_user_is_in_the_promotion(
    dag: DAG, run: Any, judged: Callable[..., Pipeline]
) -> None:
    pipeline = judged(Outcome.PROMOTED, asks=True)
    returned = answered(dag, run, "Approve")
    assert returned == {"version": VERSION, "by": "ann", "at": "2024-02-02T00:00:00+00:00"}
    assert pipeline.registry.history() == []
    promote(dag, run, json.loads(json.dumps(returned)))
    (event,) = pipeline.registry.history()
    assert (event.kind, event.version) == (Kind.PROMOTED, VERSION)
    assert event.reason == {"sentence": "drift", "approved_by": "ann"}


@pytest.mark.parametrize("returned", [None, {"version": OTHER, "by": "ann", "at": ""}])
def test_nothing_is_promoted_without_an_answer_about_this_very_version(
    dag: DAG, run: Any, judged: Callable[..., Pipeline], returned: Any
) -> None:
    pipeline = judged(Outcome.PROMOTED, asks=True)
    with pytest.raises(AirflowSkipException, match=f"shop: {VERSION} needs a person's approval and has none"):
        promote(dag, run, returned)
    assert pipeline.registry.history() == []


@pytest.mark.parametrize(("by", "said"), [(ANN, "rejected by ann"), (None, "nobody answered within 2:00:00")])
def test_a_no_or_silence_skips_promote_and_is_on_record(
    dag: DAG, run: Any, judged: Callable[..., Pipeline], by: Any, said: str
) -> None:
    pipeline = judged(Outcome.INCONCLUSIVE, asks=True)
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        answered(dag, run, "Reject", by)
    assert list(skipped.value.tasks) == ["promote"]
    (event,) = pipeline.registry.history()
    assert (event.kind, event.version, event.reason["approval"]) == (Kind.REFUSED, VERSION, said)
    assert pipeline.registry.champion() is None


def test_an_answer_that_airflow_could_not_take_decides_nothing(
    dag: DAG, run: Any, judged: Callable[..., Pipeline]
) -> None:
    pipeline = judged(Outcome.PROMOTED, asks=True)
    task = dag.get_task("approve")
    event = {"error": "no such field", "error_type": "validation"}
    with pytest.raises(HITLTriggerEventError):
        task.execute_complete(context(dag, run, "approve"), event=event, version=VERSION)
    assert pipeline.registry.history() == []
