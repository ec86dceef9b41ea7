"""The plugin and the button on a task, as Airflow itself loads and keeps them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow import plugins_manager
from airflow.sdk import DAG, BaseOperator
from airflow.serialization.serialized_objects import DagSerialization

from evergreen.notes import Note
from evergreen.pipeline import Pipeline
from evergreen.reports import deliver
from evergreen.spec import parse_spec
from evergreen.storage import Credentials, Storage
from evergreen_airflow.links import (
    CardLink,
    DataDocsLink,
    card_path,
    index_path,
    page_path,
    run_path,
    site_path,
)
from evergreen_airflow.operators.base import log_note
from evergreen_airflow.operators.gate import GateOperator
from evergreen_airflow.operators.promote import PromoteOperator
from evergreen_airflow.operators.promote_tried import PromoteTriedOperator
from evergreen_airflow.operators.report import ReportOperator
from evergreen_airflow.operators.retrain import RetrainOperator

KIOSK = parse_spec(Path(__file__).parents[1] / "pipelines" / "kiosk" / "pipeline.yaml")
HEAVY = {"fastapi", "boto3", "great_expectations", "numpy", "pandas", "pyarrow"}


class Validate(BaseOperator):
    operator_extra_links = (DataDocsLink(),)


@pytest.fixture
def task() -> BaseOperator:
    with DAG("bike_demand_ingest", schedule=None):
        return Validate(task_id="validate")


def test_the_plugin_loads_and_brings_the_sites_and_their_places_in_the_ui(embedded):
    plugins_manager._get_plugins.cache_clear()
    plugins, errors = plugins_manager._get_plugins()
    assert errors == {}
    (plugin,) = [each for each in plugins if each.name == "evergreen"]
    sites = {app["url_prefix"] for app in plugin.fastapi_apps}
    assert sites == {f"/evergreen/{name}" for name in ("data-docs", "models", "actions")}
    assert all(callable(app["app"]) for app in plugin.fastapi_apps)
    views = [(view["name"], view["href"], view["destination"]) for view in plugin.external_views]
    assert views == [
        ("Models", "/evergreen/models/", "nav"),
        ("Models", "/evergreen/models/of-dag/{DAG_ID}", "dag"),
        ("Data Docs", "/evergreen/data-docs/", "nav"),
    ]
    assert len({view["url_route"] for view in plugin.external_views}) == len(views)


def test_a_process_that_serves_no_ui_loads_the_plugin_without_what_the_site_needs():
    program = """
import json, sys
import airflow.plugins_manager as manager
before = set(sys.modules)
plugins, errors = manager._get_plugins()
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([[each.name for each in plugins], errors, sorted(loaded)]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    names, errors, loaded = json.loads(done.stdout.splitlines()[-1])
    assert "evergreen" in names
    assert errors == {}
    assert not HEAVY & set(loaded)


def test_the_button_leads_where_the_operator_noted(task: BaseOperator):
    link = DataDocsLink()
    assert link.get_link(task, ti_key=None) == ""
    task.data_docs = page_path("bike_demand", "2011-06-01", "0123456789abcdef")
    assert link.get_link(task, ti_key=None) == (
        "/evergreen/data-docs/bike_demand/2011-06-01/0123456789abcdef.html"
    )


def test_the_api_server_knows_the_button_from_the_serialized_dag(task: BaseOperator):
    known = DagSerialization.from_dict(DagSerialization.to_dict(task.dag)).get_task("validate")
    assert known.extra_links == ["Data Docs"]
    assert known.operator_extra_link_dict["Data Docs"].xcom_key == DataDocsLink().xcom_key


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/evergreen/data-docs"),
        ("http://airflow.example", "/evergreen/data-docs"),
        ("https://example.org/team/airflow/", "/team/airflow/evergreen/data-docs"),
    ],
)
def test_addresses_lie_below_the_base_of_the_api_server(
    monkeypatch: pytest.MonkeyPatch, base: str, path: str
):
    monkeypatch.setitem(os.environ, "AIRFLOW__API__BASE_URL", base)
    assert site_path() == path
    assert index_path("iris") == f"{path}/iris/index.html"
    assert page_path("iris", "snapshot", "x?y") == f"{path}/iris/snapshot/x%3Fy.html"


def test_a_button_tells_the_page_from_which_run_it_led_there(task: BaseOperator):
    task.data_docs = page_path("bike_demand", "2011-06-01", "0123456789abcdef")
    key = SimpleNamespace(dag_id="bike_demand_ingest", run_id="manual__2011+00", task_id="validate")
    address = DataDocsLink().get_link(task, ti_key=key)
    assert address == f"{task.data_docs}?dag=bike_demand_ingest&dag_run=manual__2011%2B00"
    assert run_path(key.dag_id, key.run_id) == "/dags/bike_demand_ingest/runs/manual__2011%2B00"


@pytest.mark.parametrize("operator", [GateOperator, PromoteOperator, PromoteTriedOperator])
def test_a_task_that_has_a_version_links_to_its_card(operator: type[BaseOperator]):
    task, (link,) = operator(task_id="task", pipeline="bike_demand"), operator.operator_extra_links
    assert isinstance(link, CardLink)
    assert link.get_link(task, ti_key=None) == "", "it ended before it had one"
    task.card = card_path("bike_demand", "2011-06-01-0123456789ab")
    address = "/evergreen/data-docs/bike_demand/models/2011-06-01-0123456789ab.html"
    assert link.get_link(task, ti_key=None) == address


def test_a_task_that_reports_links_to_the_report_of_the_night_and_of_the_week_it_ends(
    monkeypatch: pytest.MonkeyPatch,
):
    task = ReportOperator(task_id="report", pipeline="iris")
    night, week = task.operator_extra_links
    names = ["2024-01-07"]
    monkeypatch.setattr(deliver, "made_and_sent", lambda pipeline, night: [(_written(n), []) for n in names])
    context = {"params": {"partition": "2024-01-07"}, "dag_run": SimpleNamespace(partition_key=None)}
    task.run(Pipeline(KIOSK, Storage("bucket", "", Credentials())), context)
    assert night.get_link(task, ti_key=None) == "/evergreen/data-docs/kiosk/reports/2024-01-07.html"
    assert week.get_link(task, ti_key=None) == "", "the night ended no week"
    names += ["week-2024-01-01"]
    task.run(Pipeline(KIOSK, Storage("bucket", "", Credentials())), context)
    assert (night.name, week.name) == ("Report", "Weekly report")
    assert week.get_link(task, ti_key=None) == "/evergreen/data-docs/kiosk/reports/week-2024-01-01.html"


def _written(name: str) -> SimpleNamespace:
    return SimpleNamespace(report=SimpleNamespace(name=name, text="all is well"))


def test_a_skipped_retraining_has_no_button_for_a_run_that_is_not():
    task = RetrainOperator(task_id="retrain", pipeline="bike_demand")
    (link,) = task.operator_extra_links
    assert link.name == "Triggered DAG"
    assert link.get_link(task, ti_key=None) == ""


def test_a_verdict_is_logged_first_and_its_reasons_on_lines_of_their_own(caplog: pytest.LogCaptureFixture):
    note = Note("2024-01-01", "no retraining", ("mae is as promised", "the champion promises more"))
    with caplog.at_level(logging.INFO, "evergreen_airflow.operators.base"):
        log_note("shop", note)
    assert caplog.messages == [
        "shop 2024-01-01: no retraining",
        "  mae is as promised",
        "  the champion promises more",
    ]
