"""A person's answer through Airflow's own API: the form, a no, and then a yes to the same version."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy.embedded.airflow import ADMIN
from deploy.embedded.airflow_api import AirflowApi, Run
from deploy.embedded.stack import Stack
from evergreen.pipeline import Pipeline
from tests.e2e.waiting import wait_for

INGEST, TRAIN = "iris_ingest", "iris_train"


def path(run: Run, rest: str) -> str:
    return f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/{rest}"


def asked(airflow: AirflowApi) -> tuple[Run, dict[str, Any]]:
    """A new training, once it waits for a person, and its form."""
    run = airflow.trigger(TRAIN, conf={"reason": "the end-to-end test asks for it"})

    def waits() -> bool:
        assert not airflow.run(run).ended, airflow.tasks(run)
        return airflow.tasks(run).get("approve") == "awaiting_input"

    wait_for(waits, "the training to ask")
    (form,) = airflow._call("GET", path(run, "hitlDetails"))["hitl_details"]
    return run, form


def answer(airflow: AirflowApi, stack: Stack, run: Run, option: str) -> dict[str, str]:
    """The tasks' states once the run has ended after this answer."""
    # No person answers within the second: Airflow then takes the task's pause for its end, and asks again.
    # That its executor has told the scheduler of the pause stands in the log alone.
    log = stack.home.logs / "scheduler.log"
    key = f"TaskInstanceKey(dag_id='{TRAIN}', task_id='approve', run_id='{run.run_id}'"
    wait_for(
        lambda: f"Received executor event with state success for task instance {key}" in log.read_text(), key
    )
    body = {"chosen_options": [option], "params_input": {}}
    airflow._call("PATCH", path(run, "taskInstances/approve/-1/hitlDetails"), json=body)
    return ended(airflow, run)


def ended(airflow: AirflowApi, run: Run) -> dict[str, str]:
    wait_for(lambda: airflow.run(run).ended, "the training to end")
    return airflow.tasks(run)


@pytest.fixture(scope="module")
def pipeline(stack: Stack, airflow: AirflowApi) -> Pipeline:
    """`iris`, published and without a champion."""
    for dag_id in (INGEST, TRAIN):
        wait_for(lambda dag_id=dag_id: airflow.dag(dag_id), f"Airflow to read {dag_id}")
        airflow.unpause(dag_id)
    # Unpaused, it runs for last Monday. A second run beside it would be told that its rows were overtaken.
    wait_for(lambda: [run.state for run in airflow.runs(INGEST)] == ["success"], "the flowers")
    return Pipeline.open("iris")


def test_a_person_says_no_and_then_yes(pipeline: Pipeline, airflow: AirflowApi, stack: Stack) -> None:
    run, form = asked(airflow)
    (version,) = pipeline.registry.versions()
    assert form["subject"] == f"iris: promote {version} to champion?"
    assert form["options"] == ["Approve", "Reject"]
    assert [user["id"] for user in form["assigned_users"]] == [ADMIN]
    assert "| check | result |" in form["body"]
    assert "the end-to-end test asks for it" in form["body"]
    assert pipeline.registry.history() == []

    tasks = answer(airflow, stack, run, "Reject")
    assert (tasks["gate"], tasks["approve"], tasks["promote"]) == ("success", "success", "skipped")
    (refusal,) = pipeline.registry.history()
    assert (refusal.kind, refusal.version) == ("refused", version)
    assert refusal.reason["approval"].startswith("rejected by ")

    clear = {"dry_run": False, "dag_run_id": run.run_id, "task_ids": ["promote"], "only_failed": False}
    airflow._call("POST", f"/api/v2/dags/{TRAIN}/clearTaskInstances", json=clear)
    assert ended(airflow, run)["promote"] == "skipped"
    assert pipeline.registry.champion() is None

    run, form = asked(airflow)
    assert form["subject"] == f"iris: promote {version} to champion?"
    tasks = answer(airflow, stack, run, "Approve")
    assert (tasks["approve"], tasks["promote"]) == ("success", "success")
    assert pipeline.registry.champion() == version
    promotion = pipeline.registry.history()[-1]
    assert promotion.kind == "promoted"
    assert promotion.reason["approved_by"].lower() == ADMIN
    gate = json.loads(pipeline.registry.read(version, "gate.json"))
    assert (gate["outcome"], gate["needs_approval"]) == ("promoted", True)
    assert not [key for key in pipeline.storage.list("iris/staging/") if key.endswith((".parquet", ".skops"))]
